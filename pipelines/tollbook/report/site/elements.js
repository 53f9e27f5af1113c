// Elements of the page. Names come from events, and events can say anything: they are only ever text.
"use strict";
const Elements = (() => {
  const MOST_ROWS = 200;
  const MOST_WIDE = 24; // characters of a part that is kept whole
  const MOST_WHOLE = 18;
  const LONGEST_LABEL = 34;
  const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

  function el(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
    made.append(...children.flat());
    return made;
  }

  const byId = (id) => document.getElementById(id);

  // A sentence in which no line ends between a number and its sign or its percent.
  const whole = (text) => text.replace(/ %/g, "\u00a0%").replace(/−/g, "−\u2060");
  const fill = (id, ...children) =>
    byId(id).replaceChildren(...children.flat().map((each) => (typeof each === "string" ? whole(each) : each)));

  // A name out of the events, kept apart from what stands around it.
  const name = (text) => el("bdi", {}, text);

  // Text that plotly shows as it stands: no tags, nothing that turns its direction, not too long.
  function label(text) {
    let shown = text.replace(UNPRINTABLE, "\ufffd");
    if (shown.length > LONGEST_LABEL) shown = `${shown.slice(0, LONGEST_LABEL - 1)}…`;
    return shown.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  }

  // Parts of a cell between which a line can break; what is short stays whole.
  function partsOf(cell) {
    const text = String(cell?.textContent ?? cell ?? "").trim();
    return text.length <= MOST_WHOLE ? [text] : text.split(/\s+/);
  }

  // A table that scrolls by itself where the screen is narrow. Heads that begin with `#` are of numbers, with `~` of
  // sentences; other columns are as wide as their longest word.
  function table(title, heads, rows, foot = null) {
    if (!rows.length) return el("p", { class: "none" }, "There are none.");
    const kinds = heads.map((head) => ({ "#": "n", "~": "text" })[head[0]] ?? "name");
    const line = (cells) =>
      el("tr", {}, cells.map((cell, at) =>
        at === 0 ? el("th", { scope: "row", class: "name" }, cell) : el("td", { class: kinds[at] }, cell)));
    const longest = (at) => Math.max(0, ...rows.slice(0, MOST_ROWS).flatMap((cells) =>
      partsOf(cells[at]).map((part) => part.length)));
    const width = (at) => `min-width:calc(${Math.min(MOST_WIDE, longest(at))}ch + 26px)`;
    const head = heads.map((text, at) => el("th", {
      scope: "col", class: kinds[at] === "n" ? "n" : null, style: kinds[at] === "name" ? width(at) : null,
    }, text.replace(/^[#~]/, "")));
    const made = el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {},
      rows.slice(0, MOST_ROWS).map(line)));
    if (foot) made.append(el("tfoot", {}, line(foot)));
    const around = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, made);
    const left = rows.length - MOST_ROWS;
    return left > 0 ? el("div", {}, around, el("p", { class: "none" }, `${left} more rows are in the book.`)) : around;
  }

  function key(id, series) {
    fill(`key-${id}`, series.map(([text, colour]) => el("li", {}, el("i", { style: `background:${colour}` }),
      name(text))));
  }

  function tile(what, value, more) {
    return el("div", { class: "card tile" },
      el("dl", {}, el("dt", {}, what), el("dd", {}, value), el("dd", { class: "small" }, more)));
  }

  // Draws a figure, or hides its place where there is nothing to draw.
  function chart(id, figure) {
    const place = byId(`chart-${id}`);
    place.hidden = !figure;
    if (figure) Theme.draw(place, figure);
    else Plotly.purge(place);
  }

  // Lying bars: one row for each label, from the top down; traces give x, and y is the row. On a phone labels
  // stand above.
  function rowsFigure(labels, data, { axis = null, shapes = [], right = 76 } = {}) {
    const isPhone = Theme.isPhone();
    const places = labels.map((_, at) => at);
    const above = (text, at) => ({
      xref: "paper", x: 0, xanchor: "left", y: at - 0.42, yanchor: "middle", text: label(text), showarrow: false,
    });
    return {
      data: data.map((trace) => ({ y: places, orientation: "h", type: "bar", cliponaxis: false, ...trace })),
      layout: {
        bargap: isPhone ? 0.62 : 0.34,
        margin: { l: 8, r: right, t: 8, b: axis ? 34 : 8 },
        shapes,
        annotations: isPhone ? labels.map(above) : [],
        barmode: "stack",
        xaxis: { visible: axis !== null, fixedrange: true, rangemode: "tozero", ...axis },
        yaxis: {
          type: "linear",
          fixedrange: true,
          range: [labels.length - 0.4, -0.7],
          showgrid: false,
          zeroline: false,
          showticklabels: !isPhone,
          tickvals: places,
          ticktext: labels.map(label),
          automargin: !isPhone,
        },
      },
      height: (axis ? 60 : 30) + (isPhone ? 42 : Theme.isOnPaper() ? 20 : 29) * labels.length,
    };
  }

  // Names of workflows for a chart, with the team where two of them are alike.
  function workflowLabels(rows) {
    const names = rows.map((row) => Book.workflows[row.workflow]);
    const isTwice = (text) => names.indexOf(text) !== names.lastIndexOf(text);
    return rows.map((row, at) => (isTwice(names[at]) ? `${names[at]}, ${Book.teams[row.team]}` : names[at]));
  }

  // Team and workflow of a row, for a table.
  const bearer = (row) =>
    el("span", {}, name(Book.teams[row.team]), " ", el("span", { class: "soft" }, name(Book.workflows[row.workflow])));

  const series = (at) => Theme.colour(`--series-${(at % 8) + 1}`);
  const rest = () => Theme.colour("--rest");

  return { bearer, byId, chart, el, fill, key, label, name, rest, rowsFigure, series, table, tile, workflowLabels };
})();
