// Tables of the forecast: what it rests on, how far off its method was, and the weeks that it goes by.
"use strict";
const ForecastTables = (() => {
  const { chart, fill, key, name, rowsFigure, table } = Elements;
  const { methods, expected, flat_prices: flatPrices } = Book.words;
  const MOST_BARS = 12;
  const MOST_LINES = 5;

  const team = (row) => Book.teams[row.team];
  const of = (rows, scenario) => rows.filter((row) => row.scenario === scenario);
  const percent = (error) => (error === null ? Money.plain(null) : `${(100 * Money.place(error)).toFixed(1)} %`);

  // Of all teams in the month that is spoken of, or of one team in every month.
  function drivers(state, month) {
    const all = Book.chosen("forecast", { ...state, month: state.team === null ? month : state.month });
    const rows = Book.ranked(all, (row) => (state.team === null ? row.cost : -BigInt(row.month)));
    const flat = new Map(of(rows, flatPrices).map((row) => [`${row.team} ${row.month}`, row]));
    const money = (each) => Money.plain(each, state.currency);
    const price = (row) => (row ? Money.plain(row.price, state.currency, true) : Money.plain(null));
    fill("table-drivers", table("What the forecast rests on",
      ["Team", "Month", "#Tasks ahead", "#Tokens per task", "#Price of 1 M tokens", "#At today's prices",
        "#Known so far", "#Expected", "#Known price changes"],
      of(rows, expected).filter((row) => row.cost !== null).map((row) => {
        const same = flat.get(`${row.team} ${row.month}`);
        const change = same && same.cost !== null ? row.cost - same.cost : null;
        return [name(team(row)), Book.months[row.month], Money.whole(row.tasks),
          row.tasks ? Money.short(Math.round(row.tokens / row.tasks)) : "–", price(row), price(same),
          row.ahead ? "–" : money(row.actual), money(row.cost),
          change === 0n ? "–" : Money.signed(change, state.currency)];
      })));
  }

  const ERRORS = [["error", "the method", "circle"], ["mean_error", "mean of four weeks", "square"],
    ["last_week_error", "last week again", "diamond"], ["last_day_error", "last day again", "cross"]];

  // One row for each team: its method and errors are the same in every month and scenario.
  function tested(state) {
    const rows = of(Book.chosen("forecast", { ...state, month: null }), expected);
    const told = [...Book.grouped(rows, (row) => row.team).values()].map((some) => some[0]);
    return Book.ranked(told.filter((row) => row.error !== null), (row) => row.cost);
  }

  function errors(state) {
    const rows = tested(state);
    const shown = rows.slice(0, MOST_BARS);
    chart("errors", shown.length ? rowsFigure(shown.map(team), ERRORS.map(([field, text, symbol], at) => ({
      type: "scatter", mode: "markers", name: text,
      x: shown.map((row) => (row[field] === null ? null : 100 * Money.place(row[field]))),
      marker: { symbol, size: at ? 9 : 13, color: Elements.series(at) },
      hovertemplate: "%{fullData.name}: %{x:.1f} % off<extra></extra>",
    })), { axis: { ticksuffix: " %", nticks: 6 }, right: 18 }) : null);
    key("errors", shown.length ? ERRORS.map(([, text], at) => [text, Elements.series(at)]) : []);
    fill("table-errors", table("Errors by team",
      ["Team", "Method", "#Weeks held out", ...ERRORS.map(([, text]) => `#${text[0].toUpperCase()}${text.slice(1)}`)],
      rows.map((row) => [name(team(row)), methods[row.method] ?? row.method ?? Money.plain(null),
        row.held_out_weeks ?? Money.plain(null), ...ERRORS.map(([field]) => percent(row[field]))])));
  }

  function weeks(state) {
    const rows = Book.chosen("history", state).filter((row) => row.span === "week");
    const labels = [...Book.grouped(rows, (row) => row.label).values()]
      .sort((one, other) => (one[0].starts < other[0].starts ? -1 : 1)).map((some) => some[0].label);
    const groups = Book.ranked([...Book.grouped(rows, (row) => row.team).values()], (some) => Book.amount(some, "cost"));
    const at = (some, label) => Book.amount(some.filter((row) => row.label === label), "cost");
    const shown = groups.slice(0, MOST_LINES);
    const dashes = ["solid", "dash", "dot", "dashdot", "longdash"];
    chart("weeks", shown.length ? {
      data: shown.map((some, place) => ({
        type: "scatter", mode: "lines+markers", name: Elements.label(team(some[0])), x: labels,
        y: labels.map((label) => Money.place(at(some, label) ?? 0n)),
        line: { color: Elements.series(place), width: 2.2, dash: dashes[place] }, marker: { size: 5 },
        customdata: labels.map((label) => Money.plain(at(some, label) ?? 0n, state.currency)),
        hovertemplate: "%{fullData.name}, week to %{x}: %{customdata}<extra></extra>",
      })),
      layout: {
        margin: { l: 56, r: 12, t: 10, b: 44 },
        xaxis: { type: "category", fixedrange: true, showgrid: false, nticks: Theme.isPhone() ? 3 : 7, tickangle: 0 },
        yaxis: { fixedrange: true, tickprefix: Money.mark(state.currency), tickformat: ",~r", nticks: 5,
          rangemode: "tozero" },
      },
      height: 280,
    } : null);
    key("weeks", shown.map((some, place) => [team(some[0]), Elements.series(place)]));
    fill("table-weeks", table("Cost by week", ["Week to", ...groups.map((some) => `#${team(some[0])}`)],
      labels.map((label) => [label, ...groups.map((some) => Money.exact(at(some, label) ?? 0n))])));
  }

  return { drivers, errors, of, percent, team, tested, weeks };
})();
