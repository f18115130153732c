// Draws the charts of a page, and lets its tables be sorted, searched and downloaded. Without it the tables can be read.
(() => {
  "use strict";
  const DAY_MS = 86400000;
  const block = document.getElementById("data");
  // Pages of a site bring their data in scripts, since a page from disk can't fetch.
  const report = block ? JSON.parse(block.textContent) : window.collectorReport;

  const textOfDay = (instant) => new Date(instant).toISOString().slice(0, 10);

  // Rows of a chart, from columns as page.py packs them; where there are several series, a row for each.
  function unpacked({ count, columns, series, values, name, value }) {
    const rows = Array.from({ length: count }, () => ({}));
    for (const [field, column] of Object.entries(columns)) {
      const first = Date.parse(column.first);
      rows.forEach((row, place) => {
        row[field] = Array.isArray(column) ? column[place]
          : "same" in column ? row[column.same]
          : "all" in column ? column.all
          : textOfDay(first + place * DAY_MS);
      });
    }
    if (!name) return rows;
    return rows.flatMap((row, place) =>
      series.map((each, rank) => ({ ...row, rank, [name]: each, [value]: values[rank][place] })));
  }

  function beginOf(days) {
    const last = unpacked(report.data.days).at(-1);
    return last ? Date.parse(last.day) - (days - 1) * DAY_MS : 0;
  }

  async function draw(place) {
    const name = place.dataset.chart;
    const spec = structuredClone(report.specs[name]);
    spec.datasets = { [spec.data.name]: unpacked(report.data[place.dataset.rows || spec.data.name]) };
    if (name === "total") spec.datasets.marks = unpacked(report.data.marks);
    if (spec.params) spec.params[0].value = beginOf(report.span);
    const options = { renderer: "svg", actions: false, ast: true, defaultStyle: false, logLevel: 1 };
    const { view } = await vegaEmbed(place, spec, { ...options, tooltip: { disableDefaultStyle: true } });
    // A legend may take more lines once the chart has its width: only another layout gives it their height. So it is
    // whenever the window changes, as it does while a phone is scrolled.
    const fit = async () => {
      await view.runAsync();
      await view.resize().runAsync();
    };
    window.addEventListener("resize", fit);
    await fit();
    return spec.params && { view, name: spec.params[0].name };
  }

  async function drawAll() {
    const spans = document.querySelector(".spans");
    const drawn = (await Promise.all([...document.querySelectorAll("[data-chart]")].map(draw))).filter(Boolean);
    if (!spans) return;
    spans.hidden = false;
    const buttons = [...spans.querySelectorAll("button")];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        for (const each of buttons) each.setAttribute("aria-pressed", each === button);
        for (const { view, name } of drawn) view.signal(name, beginOf(+button.dataset.span)).runAsync();
      });
    }
  }

  const textOf = (cell) => cell.textContent.trim();

  // A number as its value, `–` as the least of all, anything else as text.
  function valueOf(cell) {
    const text = textOf(cell);
    const plain = text.replace(/[,%]/g, "").replace("−", "-");
    if (text === "" || text === "–") return -Infinity;
    return plain !== "" && Number.isFinite(+plain) ? +plain : text;
  }

  function compare(one, other) {
    if (typeof one === "number" && typeof other === "number") return one - other || 0;
    return String(one).localeCompare(String(other), document.documentElement.lang);
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const isDown = head.getAttribute("aria-sort") !== "descending";
        for (const each of heads) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
        const rows = [...body.rows].map((row) => [valueOf(row.cells[column]), row]);
        rows.sort(([one], [other]) => (isDown ? compare(other, one) : compare(one, other)));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  // Text that a spreadsheet would take for a formula becomes plain text; numbers stay numbers.
  function csvCell(cell) {
    const value = valueOf(cell);
    if (value === -Infinity) return "";
    if (typeof value === "number") return String(value);
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function download(table, name) {
    const rows = [table.tHead.rows[0], ...[...table.tBodies[0].rows].filter((row) => !row.hidden)];
    const lines = rows.map((row) => [...row.cells].map(csvCell).join(","));
    // Excel reads Chinese rightly only after a byte order mark.
    const blob = new Blob(["\ufeff", lines.join("\r\n"), "\r\n"], { type: "text/csv;charset=utf-8" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function withTools(table) {
    const tools = table.parentElement.previousElementSibling;
    if (!tools?.classList.contains("tools")) return;
    tools.hidden = false;
    const button = tools.querySelector("[data-download]");
    button.addEventListener("click", () => download(table, button.dataset.download));
    const search = tools.querySelector("input");
    if (!search) return;
    const count = tools.querySelector(".count");
    const rows = [...table.tBodies[0].rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const show = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, place) => {
        row.hidden = !words.every((word) => texts[place].includes(word));
        shown += !row.hidden;
      });
      const number = (value) => value.toLocaleString("en-US");
      count.textContent = count.dataset.text.replace("{shown}", number(shown)).replace("{all}", number(rows.length));
    };
    search.addEventListener("input", show);
    show();
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    sortable(table);
    withTools(table);
  }
  // Without this mark the page says what charts need, as it does in a browser that is too old for the bundle.
  if (window.vegaEmbed && report) drawAll().then(() => { document.documentElement.dataset.drawn = "true"; });
})();
