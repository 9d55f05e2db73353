# The parent of one PostgreSQL server, or of one PgBouncer. It lives in its own session, reads commands from
# its standard input and ends with it: only the learner's kernel holds the other end, so when the kernel is
# gone, for whatever reason, the server is stopped and its folder removed.
#
# Arguments: the server's folder, the folder of PostgreSQL's programs, the cluster template;
#            for PgBouncer: the server's folder, the program, an empty text
# Command:   start PORT    starts the server, after the last one has ended
# Events:    prepared | failed STATUS | started PID, one a line in the file `events`
instance=$1 programs=$2 template=$3
server=

say() {
    printf '%s\n' "$*" >>"$instance/events"
}

finish() {
    trap '' HUP INT TERM
    if [ -n "$server" ]; then
        # QUIT stops it at once, but sh starts background commands with QUIT ignored: until the server has
        # set its own handlers only TERM reaches it. PgBouncer ends at once with TERM before 1.23, and with QUIT
        # since then. CONT is for one that a lesson has frozen.
        kill -TERM "$server"
        kill -QUIT "$server"
        kill -CONT "$server"
        wait "$server"
    fi 2>/dev/null
    cd /
    # After a crash the last child processes of the server may still write.
    tries=0
    until rm -rf "$instance" 2>/dev/null || [ "$tries" -ge 50 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    exit 0
}

prepare() {
    [ -n "$template" ] || return 0
    cp -R "$template" data || return
    # Passwords are set with no server running: there is no moment at which one could log in without them.
    "$programs/postgres" --single -F -D "$instance/data" -c exit_on_error=on template1 <passwords.sql
}

# Becomes the server: `exec` keeps the process id that is told.
serve() {
    if [ -n "$template" ]; then
        exec "$programs/postgres" -D "$instance/data" -c "config_file=$instance/postgresql.conf" -p "$1"
    fi
    # PgBouncer takes no port on its command line.
    cp settings.ini pgbouncer.ini && printf 'listen_port = %s\n' "$1" >>pgbouncer.ini || exit
    exec "$programs" "$instance/pgbouncer.ini"
}

main() {
    exec 3<&0 </dev/null
    trap finish HUP INT TERM
    cd "$instance" || exit 1
    said=$(prepare 2>&1)
    status=$?
    rm -f passwords.sql
    if [ "$status" -eq 0 ]; then
        say prepared
    else
        # On a full disk this makes the room for saying so.
        rm -rf data
        printf '%s\n' "$said" >prepare.log
        say "failed $status" || finish
    fi
    while read -r command port <&3; do
        [ "$command" = start ] || continue
        [ -z "$server" ] || wait "$server"
        serve "$port" >>log 2>&1 3<&- &
        server=$!
        say "started $server"
    done
    finish
}

main
