// What usage will cost: history and forecast by month, team by team, with intervals.
"use strict";
(() => {
  const { chart, fill, key, name, rowsFigure, table, tile } = Elements;
  const { of, percent, team, tested } = ForecastTables;
  const { reasons, expected, flat_prices: flatPrices } = Book.words;
  const MOST_BARS = 12;
  const MOST_SCENARIOS = 4;
  const MOST_ABOVE = 3; // times the largest cost, that an interval is drawn to
  const { amount } = Book;

  const scenario = (text) => (text === expected ? "expected" : text === flatPrices ? "at today's prices" : text);

  // Other scenarios than the two that are always there.
  const others = (rows) => [...new Set(rows.map((row) => row.scenario))]
    .filter((each) => each !== expected && each !== flatPrices).sort();

  const every = (state) => Book.chosen("forecast", { ...state, month: null });
  const isTold = (row) => row.cost !== null;

  // The month that is spoken of: the one that is chosen, or else the first that has not begun.
  function spokenOf(state, rows) {
    if (state.month !== null) return state.month;
    const whole = rows.filter((row) => row.ahead > 0).map((row) => row.month);
    return whole.length ? Math.min(...whole) : rows[0]?.month ?? null;
  }

  // Cost of the month before one, and its name.
  function monthBefore(state, rows, month) {
    if (month > 0) return [Book.months[month - 1], amount(rows.filter((row) => row.month === month - 1), "cost")];
    const months = history(state);
    return months.length ? [months.at(-1).label, months.at(-1).cost] : [null, null];
  }

  // Months that are over, in order, of what is chosen.
  function history(state) {
    const rows = Book.chosen("history", state).filter((row) => row.span === "month");
    return [...Book.grouped(rows, (row) => row.starts).values()]
      .sort(([one], [other]) => (one.starts < other.starts ? -1 : 1))
      .map((some) => ({ label: some[0].label, cost: amount(some, "cost") }));
  }

  function summary(state, rows, month) {
    const known = of(rows, expected).filter(isTold);
    const own = known.filter((row) => row.month === month);
    const money = (each) => Money.plain(each, state.currency);
    const whose = Filters.whose();
    if (!own.length) {
      fill("lead", "Nothing is forecast of what is chosen.");
      fill("tiles");
    } else {
      const [cost, low, high] = ["cost", "lower", "upper"].map((field) => amount(own, field));
      const [label, before] = monthBefore(state, known, month);
      const flat = of(rows, flatPrices).filter((row) => row.month === month && isTold(row));
      const change = cost - (amount(flat, "cost") ?? cost);
      const alike = own.length > 1 ? ", if all teams err alike" : "";
      const prices = change === 0n ? "No price that it rests on is known to change."
        : `Prices that are known to change ${change > 0n ? "add" : "take off"} ${money(Money.abs(change))} of it.`;
      fill("lead", `In ${Book.months[month]}, usage`, ...(state.team === null ? [] : [" of ", name(Book.teams[state.team])]),
        ` is expected to cost ${money(cost)}, between ${money(low)} and ${money(high)} four times of five${alike}`,
        label === null ? ". " : `; in ${label} ${own[0].ahead ? "it is" : "it was"} ${money(before)}. `, prices);
      const errors = tested(state).map((row) => 100 * Money.place(row.error)).sort((one, other) => one - other);
      const off = errors.length > 1 ? `${errors[0].toFixed(0)} to ${errors.at(-1).toFixed(0)} %`
        : errors.length ? `${errors[0].toFixed(0)} %` : "untested";
      fill("tiles",
        tile(`Expected in ${Book.months[month]}`, money(cost),
          [Money.change(cost, before), label && `from ${money(before)}`].filter((each) => each).join(", ")),
        tile("Four times of five", `${Money.rough(low, state.currency)} to ${Money.rough(high, state.currency)}`,
          own.length > 1 ? "if all teams err alike" : "by the error of counts"),
        tile("Known price changes", change === 0n ? "none" : Money.signed(change, state.currency), "beside today's prices"),
        tile("Off on the weeks held out", off, errors.length > 1 ? "by team, week by week" : "week by week"));
    }
    const lacking = [...Book.grouped(of(rows, expected).filter((row) => row.reasons), (row) => row.team).values()]
      .map((some) => some[0]);
    const why = (row) => row.reasons.split(",").map((each) => reasons[each] ?? each).join("; ");
    fill("unknown", rows.length ? `Known up to ${rows[0].known_to}.` : "",
      ...lacking.flatMap((row) => [" ", name(team(row)), `: ${why(row)}.`]));
  }

  function fan(state, rows) {
    const past = history(state);
    const ahead = Book.months.map((label, month) => ({ label, month })).filter(({ month }) =>
      of(rows, expected).some((row) => row.month === month && isTold(row)));
    const sum = (text, month, field) =>
      amount(of(rows, text).filter((row) => row.month === month && isTold(row)), field);
    const labels = [...past, ...ahead].map((each) => each.label);
    const last = past.at(-1);
    const start = last ? [last] : [];
    const x = [...start, ...ahead].map((each) => each.label);
    const line = (text, field = "cost") =>
      [...start.map((each) => Money.place(each.cost)), ...ahead.map(({ month }) => Money.place(sum(text, month, field)))];
    const shown = [expected, flatPrices, ...others(rows).slice(0, MOST_SCENARIOS)].filter((text) => text !== flatPrices ||
      ahead.some(({ month }) => sum(text, month, "cost") !== sum(expected, month, "cost")));
    const colour = Object.fromEntries(shown.map((text, at) => [text, Elements.series(at + 1)]));
    const said = (amounts) => amounts.map((each) => Money.plain(each, state.currency));
    const lines = [...past.map((each) => each.cost), ...ahead.flatMap(({ month }) => shown.map((text) =>
      sum(text, month, "cost")))].map((each) => Money.place(each ?? 0n));
    const edges = ahead.map(({ month }) => Money.place(sum(expected, month, "upper") ?? 0n));
    const most = MOST_ABOVE * Math.max(...lines);
    const isCut = Math.max(...edges) > most;
    const edge = (field) => ({ type: "scatter", mode: "lines", x, y: line(expected, field), line: { width: 0 },
      hoverinfo: "skip" });
    chart("fan", ahead.length ? {
      data: [
        edge("lower"),
        { ...edge("upper"), fill: "tonexty", fillcolor: `${colour[expected]}38` },
        ...shown.map((text, at) => ({
          type: "scatter", mode: "lines+markers", name: Elements.label(scenario(text)), x, y: line(text),
          line: { color: colour[text], width: at ? 2 : 2.8, dash: at ? ["dot", "dashdot", "longdash", "dot"][(at - 1) % 4]
            : "dash" },
          marker: { size: at ? 5 : 8 },
          customdata: said([...start.map((each) => each.cost), ...ahead.map(({ month }) => sum(text, month, "cost"))]),
          hovertemplate: "%{x}, %{fullData.name}: %{customdata}<extra></extra>",
        })),
        { type: "scatter", mode: "lines+markers", name: "what it cost", x: past.map((each) => each.label),
          y: past.map((each) => Money.place(each.cost)), line: { color: Elements.series(0), width: 2.8 },
          marker: { size: 8 }, customdata: said(past.map((each) => each.cost)),
          hovertemplate: "%{x}: %{customdata}<extra></extra>" },
      ],
      layout: {
        margin: { l: 60, r: 16, t: 12, b: 30 },
        xaxis: { type: "category", categoryorder: "array", categoryarray: labels, fixedrange: true, showgrid: false,
          nticks: Theme.isPhone() ? 4 : 14, tickangle: 0 },
        yaxis: { fixedrange: true, tickprefix: Money.mark(state.currency), tickformat: ",~r", nticks: 6,
          automargin: true, ...(isCut ? { range: [0, most] } : { rangemode: "tozero" }) },
      },
      height: 340,
    } : null);
    key("fan", ahead.length ? [["what it cost", Elements.series(0)], ["four times of five", `${colour[expected]}38`],
      ...shown.map((text) => [scenario(text), colour[text]])] : []);
    fill("cut-fan", ahead.length && isCut ? `The interval goes on beyond the chart, to ${
      Money.rough(sum(expected, ahead.at(-1).month, "upper"), state.currency)} in ${ahead.at(-1).label}.` : "");
    const extra = others(rows);
    const exact = (text, month, field = "cost") => Money.exact(sum(text, month, field));
    fill("table-fan", table("By month",
      ["Month", "#Known", "#Expected", "#Lower", "#Upper", "#At today's prices", ...extra.map((each) => `#${each}`)], [
        ...past.map((each) => [each.label, Money.exact(each.cost), "–", "–", "–", "–", ...extra.map(() => "–")]),
        ...ahead.map(({ label, month }) => [label, month ? "–" : exact(expected, month, "actual"),
          exact(expected, month), exact(expected, month, "lower"), exact(expected, month, "upper"),
          exact(flatPrices, month), ...extra.map((text) => exact(text, month))]),
      ]));
  }

  function teams(state, rows, month) {
    const known = of(rows, expected).filter(isTold);
    const own = Book.ranked(known.filter((row) => row.month === month), (row) => row.cost);
    const shown = own.slice(0, MOST_BARS);
    const values = shown.flatMap((row) => [row.lower, row.cost]).filter((each) => each > 0n).map(Money.place);
    const low = values.length ? Math.min(...values) / 2 : 0.01;
    const bounded = (value) => Math.max(Money.place(value ?? 0n), low);
    const money = (each) => Money.plain(each, state.currency, true);
    chart("teams", shown.length ? rowsFigure(shown.map(team), [
      ...shown.map((row, at) => ({
        type: "scatter", mode: "lines", x: [bounded(row.lower), bounded(row.upper)], y: [at, at],
        line: { color: `${Elements.series(1)}80`, width: 9 }, hoverinfo: "skip",
      })),
      {
        type: "scatter", mode: "markers", x: shown.map((row) => bounded(row.cost)),
        marker: { symbol: "circle", size: 12, color: Elements.series(1) },
        customdata: shown.map((row) => `${money(row.cost)}, ${money(row.lower)} to ${money(row.upper)}`),
        hovertemplate: "%{customdata}<extra></extra>",
      },
      { type: "scatter", mode: "text", x: shown.map((row) => bounded(row.upper)),
        text: shown.map((row) => `  ${money(row.cost)}`), textposition: "middle right", hoverinfo: "skip" },
    ], { axis: { type: "log", tickprefix: Money.mark(state.currency), dtick: Theme.isPhone() ? 2 : 1, tickformat: ",~r",
      tickangle: 0 } }) : null);
    key("teams", shown.length ? [[`expected in ${Book.months[month]}`, Elements.series(1)],
      ["four times of five", `${Elements.series(1)}80`]] : []);
    const chosen = known.filter((row) => state.month === null || row.month === state.month);
    fill("table-teams", table("By team and month", ["Team", "Month", "#Expected", "#Lower", "#Upper"],
      chosen.map((row) => [name(team(row)), Book.months[row.month], Money.exact(row.cost), Money.exact(row.lower),
        Money.exact(row.upper)])));
  }

  Filters.start((state) => {
    const rows = every(state);
    const month = spokenOf(state, rows);
    summary(state, rows, month);
    fan(state, rows);
    teams(state, rows, month);
    ForecastTables.drivers(state, month);
    ForecastTables.errors(state);
    ForecastTables.weeks(state);
  });
})();
