"""The buttons of a prediction: native ones that a screen reader hears as a named group, with the one that is chosen."""

import anywidget
import traitlets

_MODULE = """
function make(tag, name, text) {
  const node = document.createElement(tag);
  node.className = name;
  node.textContent = text;
  return node;
}
function render({ model, el }) {
  const question = model.get("question");
  const group = make("div", "guess", "");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", `Predict: ${question.replaceAll("`", "")}`);
  const asking = make("p", "guess-question", "");
  asking.append(make("strong", "", "Predict:"), " ");
  // As in the panels, what stands in backticks is code: every second part.
  question.split("`").forEach((part, index) => asking.append(index % 2 ? make("code", "", part) : part));
  const choice = make("div", "guess-choice", "");
  for (const option of model.get("options")) {
    const button = make("button", "guess-button", option);
    button.type = "button";
    button.addEventListener("click", () => {
      model.set("chosen", option);
      model.save_changes();
    });
    choice.append(button);
  }
  const said = make("p", "guess-said", "");
  said.setAttribute("role", "status");
  group.append(asking, choice, said);
  const follow = () => {
    const chosen = model.get("chosen");
    for (const button of choice.children) button.setAttribute("aria-pressed", String(button.textContent === chosen));
    said.textContent = model.get("said");
  };
  model.on("change:chosen", follow);
  model.on("change:said", follow);
  follow();
  el.append(group);
}
export default { render };
"""
# The filled button's colours hold 4.5:1 with each other in every theme, and the sign says the same without colour.
_STYLE = """
.guess { color: var(--jp-ui-font-color1, inherit); font: 13px/1.4 var(--jp-ui-font-family, system-ui, sans-serif); }
.guess p { margin: 0.4em 0; }
.guess code {
  padding: 1px 5px;
  background: var(--jp-layout-color2, #eee);
  font-family: var(--jp-code-font-family, monospace);
}
.guess-choice { display: flex; flex-wrap: wrap; gap: 6px; }
.guess-button {
  min-height: 2.2em;
  padding: 0.3em 0.9em;
  border: 1px solid var(--jp-ui-font-color2, #616161);
  border-radius: 4px;
  background: var(--jp-layout-color2, #eee);
  color: var(--jp-ui-font-color1, #1f1f1f);
  font: inherit;
  cursor: pointer;
}
.guess-button[aria-pressed="true"] { border-color: #0b5cad; background: #0b5cad; color: #fff; font-weight: 600; }
.guess-button[aria-pressed="true"]::before { content: "✔ " / ""; }
.guess-button:focus-visible {
  outline: 3px solid var(--jp-ui-font-color1, #1f1f1f) !important; /* JupyterLab has a thinner one for buttons */
  outline-offset: 2px !important;
}
"""


class GuessButtons(anywidget.AnyWidget):
    """A question, a button for each answer, and a line that says what was chosen.

    Args:
        question: what is asked; code stands in backticks.
        options: the answers.
        chosen: one of them; "" before the choice.
        said: the line below the buttons, which a screen reader reads out when it changes.
    """

    _esm = _MODULE
    _css = _STYLE
    question = traitlets.Unicode().tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
