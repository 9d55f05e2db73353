"""The sliders of `course_lib.pools.board`: native controls, so that each has a name and works with any keyboard."""

import anywidget
import traitlets

_MODULE = """
function render({ model, el }) {
  const board = document.createElement("div");
  board.className = "budget-board";
  const sliders = document.createElement("div");
  sliders.className = "budget-sliders";
  const numbers = document.createElement("div");
  const said = document.createElement("div");
  said.setAttribute("role", "status");
  board.append(sliders, numbers, said);
  const controls = {};
  for (const name of Object.keys(model.get("ranges"))) {
    const label = document.createElement("label");
    const text = document.createElement("span");
    text.textContent = name;
    const slider = document.createElement("input");
    slider.type = "range";
    slider.step = "1";
    slider.setAttribute("aria-label", name);
    slider.setAttribute("data-lm-suppress-shortcuts", "true"); // else JupyterLab takes the arrow keys
    const value = document.createElement("span");
    value.className = "budget-value";
    value.setAttribute("aria-hidden", "true");
    label.append(text, slider, value);
    sliders.append(label);
    slider.addEventListener("input", () => {
      value.textContent = slider.value;
      model.set("values", { ...model.get("values"), [name]: Number(slider.value) });
      model.save_changes();
    });
    controls[name] = { slider, value };
  }
  const place = () => {
    for (const [name, { slider, value }] of Object.entries(controls)) {
      [slider.min, slider.max] = model.get("ranges")[name];
      slider.value = model.get("values")[name];
      value.textContent = slider.value;
    }
  };
  const tell = () => {
    numbers.innerHTML = model.get("numbers");
    said.innerHTML = model.get("said");
  };
  model.on("change:ranges", place);
  model.on("change:values", place);
  model.on("change:numbers", tell);
  model.on("change:said", tell);
  place();
  tell();
  el.append(board);
}
export default { render };
"""
_STYLE = """
.budget-board {
  color: var(--jp-ui-font-color1, inherit);
  font: 13px/1.4 var(--jp-ui-font-family, system-ui, sans-serif);
}
.budget-sliders label { display: flex; align-items: center; gap: 0.8em; max-width: 34em; min-height: 2em; }
.budget-sliders label > span:first-child { flex: 0 0 9em; }
.budget-sliders input { flex: 1; min-width: 6em; accent-color: var(--jp-brand-color1, #1976d2); }
.budget-sliders input:focus-visible { outline: 3px solid var(--jp-brand-color1, #1976d2); outline-offset: 3px; }
.budget-value { flex: 0 0 3em; text-align: right; font-variant-numeric: tabular-nums; }
"""


class Sliders(anywidget.AnyWidget):
    """Six labelled sliders above a table and a verdict, which a screen reader reads out when it changes.

    Args:
        values: where the sliders stand, by name.
        ranges: the least and the greatest value of each.
        numbers: the table, as HTML that is escaped already.
        said: the verdict, as HTML that is escaped already.
    """

    _esm = _MODULE
    _css = _STYLE
    values = traitlets.Dict().tag(sync=True)
    ranges = traitlets.Dict().tag(sync=True)
    numbers = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
