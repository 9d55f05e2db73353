# Gives a learner a folder of their own with the lessons, and becomes the learner's Jupyter server.
#
# Arguments: the server's command. It runs as the learner. A notebook that is there already is never replaced.
set -eu
umask 077
course=$(dirname "$(dirname "$(readlink -f "$0")")")
own=$HOME/async-database-course
mkdir -p "$own/notebooks"
for notebook in "$course"/notebooks/*.ipynb; do
    mine=$own/notebooks/${notebook##*/}
    [ -e "$mine" ] || cp "$notebook" "$mine"
done
# What a lesson links to or reads, and nobody changes.
for name in solutions pictures README.md; do
    [ -e "$own/$name" ] || ln -s "$course/$name" "$own/$name"
done
export COURSE_ROOT="$own"
# A kernel's sockets are files in this folder. A path to a socket may have 107 characters: the usual place is too deep.
export JUPYTER_RUNTIME_DIR="$HOME/.jupyter-run"
exec "$@"
