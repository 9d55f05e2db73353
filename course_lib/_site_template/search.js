// Search in the sections of all lessons. The index is a script, since a page from the file system may not fetch files.
"use strict";

{ // names of its own: two scripts may stand on one page
  const { pages, sections } = window.courseIndex;
  const field = document.getElementById("find");
  const verdict = document.getElementById("verdict");
  const hits = document.getElementById("hits");
  const MOST = 50;
  const AROUND = 90; // characters shown on each side of the first word found

  const plain = (text) => text.toLowerCase();
  const entries = sections.map(([page, anchor, heading, text]) => ({
    page: pages[page], anchor, heading, text, inHeading: plain(heading), inText: plain(text),
  }));

  function find(words) {
    const found = [];
    for (const entry of entries) {
      let rank = 0;
      for (const word of words) {
        const heading = entry.inHeading.includes(word);
        const count = entry.inText.split(word).length - 1;
        if (!heading && !count) { rank = 0; break; }
        rank += (heading ? 20 : 0) + Math.min(count, 10);
      }
      if (rank && entry.inText.includes(words.join(" "))) rank += 5;
      if (rank) found.push({ entry, rank });
    }
    return found.sort((one, other) => other.rank - one.rank).map((each) => each.entry);
  }

  // A piece of the text around the first word, with every word marked.
  function excerpt(entry, words) {
    const piece = document.createElement("p");
    const first = Math.min(...words.map((word) => entry.inText.indexOf(word)).filter((at) => at >= 0));
    if (!Number.isFinite(first)) {
      piece.textContent = entry.text.slice(0, 2 * AROUND);
      return piece;
    }
    const start = Math.max(0, first - AROUND);
    const text = entry.text.slice(start, first + AROUND);
    const pattern = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
    let at = 0;
    if (start) piece.append("… ");
    for (const match of text.matchAll(new RegExp(pattern, "gi"))) {
      const mark = document.createElement("mark");
      mark.textContent = match[0];
      piece.append(text.slice(at, match.index), mark);
      at = match.index + match[0].length;
    }
    piece.append(text.slice(at), first + AROUND < entry.text.length ? " …" : "");
    return piece;
  }

  function show() {
    const words = plain(field.value).split(/\s+/).filter(Boolean);
    hits.replaceChildren();
    if (!words.length) { verdict.textContent = ""; return; }
    const found = find(words);
    for (const entry of found.slice(0, MOST)) {
      const link = document.createElement("a");
      link.href = entry.page.name + (entry.anchor ? "#" + entry.anchor : "");
      link.textContent = entry.heading;
      const where = document.createElement("span");
      where.textContent = entry.page.title;
      const item = document.createElement("li");
      item.append(link, " ", where, excerpt(entry, words));
      hits.append(item);
    }
    const some = found.length > MOST ? `, the best ${MOST} of them here` : "";
    const count = found.length === 1 ? "1 section" : `${found.length} sections`;
    verdict.textContent = found.length
      ? `${count} with “${field.value.trim()}”${some}.`
      : `No section has “${field.value.trim()}”. Try fewer or shorter words.`;
  }

  field.value = new URLSearchParams(window.location.search).get("q") ?? "";
  field.addEventListener("input", show);
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
  show();
}
