// Small comforts. Each page can be read without them.
"use strict";

{ // names of its own: two scripts may stand on one page
  // Beside the text there is room for the list of sections; above it, on a phone, it stays folded.
  const sections = document.querySelector(".sections details");
  const wide = window.matchMedia("(min-width: 78rem)");
  const follow = () => { if (sections) sections.open = wide.matches; };
  wide.addEventListener("change", follow);
  follow();

  // What scrolls sideways has to be reachable from the keyboard; what does not, not.
  const scrollers = document.querySelectorAll("pre, .scroll");
  const reach = () => {
    for (const each of scrollers) {
      if (each.scrollWidth > each.clientWidth) each.setAttribute("tabindex", "0");
      else each.removeAttribute("tabindex");
    }
  };
  window.addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
  reach();
}
