// The table of accounts: searched, filtered and sorted as a whole, and drawn a page at a time, so it stays quick with
// ten thousand. Its state is in the address, so that whoever comes back from an account finds it as it was.
(() => {
  "use strict";
  const PAGE = 50;
  const table = document.getElementById("accounts-table");
  const source = table && window.collectorReport && window.collectorReport.accounts;
  if (!source) return;
  const { rows, tags, standings } = source;
  const NAME = 1, TAGS = 2, STANDING = 3, FIRST_FIGURE = 4;
  const tools = document.getElementById("accounts-tools");
  const search = tools.querySelector("input");
  const [ofTag, ofStanding] = tools.querySelectorAll("select");
  const count = tools.querySelector(".count");
  const pager = table.parentElement.nextElementSibling;
  const heads = [...table.tHead.rows[0].cells];
  const state = { q: "", tag: "", standing: "", sort: 0, page: 1 }; // sort: a column from 1 on, downwards where negative

  const number = (value) => value.toLocaleString("en-US").replace("-", "−");
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => number(values[key]));
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  let texts;
  function matching() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const tag = tags.indexOf(state.tag);
    texts ??= rows.map((row) => [row[0].split("/").pop(), row[NAME], ...row[TAGS].map((place) => tags[place])].join("\n").toLowerCase());
    return rows.filter((row, place) =>
      (!state.tag || row[TAGS].includes(tag)) &&
      (!state.standing || row[STANDING] === state.standing) &&
      words.every((word) => texts[place].includes(word)));
  }

  // What a column is sorted by; a figure that is absent comes last in both directions.
  function keyOf(row, column) {
    const value = row[column];
    if (column === TAGS) return value.length ? tags[value[0]] : null;
    if (column === STANDING) return Object.keys(standings).indexOf(value);
    return typeof value === "string" && value.endsWith("%") ? +value.replace(/[,%]/g, "").replace("−", "-") : value;
  }

  const collator = new Intl.Collator(document.documentElement.lang, { numeric: true });
  function sorted(found) {
    if (!state.sort) return found;
    const column = Math.abs(state.sort), sign = Math.sign(state.sort);
    const compare = (one, other) => (typeof one === "string" ? collator.compare(one, other) : one - other);
    return found
      .map((row) => [keyOf(row, column), row])
      .sort(([one], [other]) => (one === null) - (other === null) || (one === null ? 0 : sign * compare(one, other)))
      .map(([, row]) => row);
  }

  function drawnRow(row) {
    const tr = document.createElement("tr");
    const name = element("th");
    name.scope = "row";
    const link = element("a", row[NAME]);
    link.href = `${table.dataset.root}${row[0]}.html`;
    name.append(link);
    const ofTags = element("td");
    ofTags.append(...row[TAGS].map((place) => element("span", tags[place], "tag")));
    const standing = element("td");
    standing.append(element("span", standings[row[STANDING]], `standing ${row[STANDING]}`));
    tr.append(name, ofTags, standing);
    row.slice(FIRST_FIGURE).forEach((value, place) => {
      const isLack = place === row.length - FIRST_FIGURE - 2 && value;
      const cell = element("td", undefined, heads[place + FIRST_FIGURE - 1].className);
      cell.append(element("span", value === null ? "–" : typeof value === "number" ? number(value) : value, isLack ? "lacks" : ""));
      tr.append(cell);
    });
    return tr;
  }

  function draw() {
    const found = sorted(matching());
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    state.page = Math.min(Math.max(1, state.page), pages);
    const shown = found.slice((state.page - 1) * PAGE, state.page * PAGE).map(drawnRow);
    if (!shown.length) {
      const none = element("td", table.dataset.none, "none");
      none.colSpan = heads.length;
      shown.push(element("tr"));
      shown[0].append(none);
    }
    table.tBodies[0].replaceChildren(...shown);
    count.textContent = filled(count.dataset.text, { shown: found.length, all: rows.length });
    const place = pager.querySelector("span");
    place.textContent = filled(place.dataset.text, { page: state.page, pages });
    pager.hidden = pages === 1;
    for (const button of pager.querySelectorAll("button")) {
      const next = state.page + Number(button.dataset.step);
      button.disabled = next < 1 || next > pages;
    }
    heads.forEach((head, place) => {
      if (Math.abs(state.sort) === place + 1) head.setAttribute("aria-sort", state.sort < 0 ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  function keep() {
    const kept = Object.entries(state).filter(([key, value]) => value && !(key === "page" && value === 1));
    history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
  }

  function change(values) {
    Object.assign(state, { page: 1 }, values);
    draw();
    keep();
  }

  function restore() {
    const kept = new URLSearchParams(location.hash.slice(1));
    state.q = kept.get("q") ?? "";
    state.tag = tags.includes(kept.get("tag")) ? kept.get("tag") : "";
    state.standing = kept.get("standing") in standings ? kept.get("standing") : "";
    const sort = Math.trunc(Number(kept.get("sort")));
    state.sort = Math.abs(sort) <= heads.length ? sort : 0;
    state.page = Math.trunc(Number(kept.get("page"))) || 1;
    search.value = state.q;
    ofTag.value = state.tag;
    ofStanding.value = state.standing;
  }

  for (const [select, options] of [[ofTag, tags.map((tag) => [tag, tag])], [ofStanding, Object.entries(standings)]]) {
    select.append(...options.map(([value, text]) => new Option(text, value)));
    select.hidden = options.length < 2;
  }
  search.addEventListener("input", () => change({ q: search.value }));
  ofTag.addEventListener("change", () => change({ tag: ofTag.value }));
  ofStanding.addEventListener("change", () => change({ standing: ofStanding.value }));
  heads.forEach((head, place) => {
    // Figures begin with the largest, names with the first.
    const first = head.classList.contains("n") ? -1 : 1;
    head.querySelector("button").addEventListener("click", () => {
      const isAgain = state.sort === first * (place + 1);
      change({ sort: (isAgain ? -first : first) * (place + 1) });
    });
  });
  pager.addEventListener("click", ({ target }) => {
    if (!target.dataset.step) return;
    change({ page: state.page + Number(target.dataset.step) });
    table.scrollIntoView({ block: "start" });
  });
  table.classList.toggle("untagged", !tags.length);
  restore();
  draw();
  tools.hidden = false;
})();
