// What seats and flat plans are worth: usage at API prices against fees, and who has it.
"use strict";
(() => {
  const { chart, fill, key, name, rowsFigure, table, tile } = Elements;
  const { amount, count } = Book;
  const MOST_BARS = 12;
  const MOST_CURVES = 5;
  const MOST_PERSONS = 20;

  const plan = (row) => Book.subscriptions[row.subscription];
  const isKnown = (row) => row.cost !== null && row.fee !== null;

  // What one unit of fees buys at API prices, `175 to 1`; of plans whose fees are known.
  function multiple(rows) {
    const known = rows.filter(isKnown);
    const [cost, fee] = [amount(known, "cost"), amount(known, "fee")];
    if (cost === null || !fee) return "unknown";
    const ratio = Money.place(cost) / Money.place(fee);
    return `${ratio >= 10 ? Money.whole(Math.round(ratio)) : ratio.toPrecision(2)} to 1`;
  }

  function summary(state, rows) {
    const money = (each) => Money.plain(each, state.currency);
    const when = state.period === null ? "all periods" : Book.periods[state.period].label;
    const whose = Filters.whose();
    const [cost, fee] = [amount(rows, "cost"), amount(rows, "fee")];
    if (!rows.length) fill("lead", "There are no seats and flat plans in what is chosen.");
    else if (cost === null) {
      fill("lead", `In ${when}, the fees of `, whose ? name(whose) : "seats and flat plans",
        ` were ${money(fee)}; no usage under them has a known price.`);
    } else {
      fill("lead", `In ${when}, usage under `, whose ? name(whose) : "seats and flat plans",
        ` would have cost ${money(cost)} at API prices; the fees were ${money(fee)}: ${multiple(rows)}.`);
    }
    const calls = count(rows, "unpriced_calls");
    fill("unknown", calls ? `${Money.whole(calls)} calls have no known price and are in no amount.` : "");
    fill("tiles",
      tile("At API prices", money(cost), "metered at list"),
      tile("Fees", money(fee), rows.some((row) => row.fee === null) ? "those that are known" : "seats and flat fees"),
      tile("Multiple of the fees", multiple(rows), "of plans whose fees are known"),
      tile("Seats that nobody used", seats(rows), "on average over the periods"));
  }

  function seats(rows) {
    const told = rows.filter((row) => row.unused_seats !== null);
    const periods = new Set(told.map((row) => row.period)).size;
    return periods ? (told.reduce((sum, row) => sum + Number(row.unused_seats), 0) / periods).toFixed(1) : "–";
  }

  function plans(state, groups) {
    const shown = groups.slice(0, MOST_BARS);
    const money = (each) => Money.plain(each, state.currency);
    const colours = [Elements.series(0), Elements.series(1)];
    const bars = (field, text, at) => ({
      name: text, x: shown.map((rows) => Money.place(amount(rows, field))), marker: { color: colours[at] },
      text: shown.map((rows) => money(amount(rows, field))), textposition: "outside",
      hovertemplate: "%{fullData.name}: %{text}<extra></extra>",
    });
    const figure = rowsFigure(shown.map((rows) => plan(rows[0])), [bars("cost", "at API prices", 0),
      bars("fee", "fees", 1)]);
    figure.layout.barmode = "group";
    figure.height += 20 * shown.length;
    chart("plans", shown.length ? figure : null);
    key("plans", [["at API prices", colours[0]], ["fees", colours[1]]]);
    const line = (rows, first) => [first, Money.exact(amount(rows, "cost")), Money.exact(amount(rows, "fee")),
      multiple(rows)];
    fill("table-plans", table("Plans", ["Subscription", "#At API prices", "#Fees", "#Multiple"],
      groups.map((rows) => line(rows, name(plan(rows[0])))), line(groups.flat(), "All")));
    fill("table-terms", table("If it became metered",
      ["Subscription", "Vendor", "Plan", "#Fees", "#Own terms", "#Metered at list", "#Cheapest mix"],
      groups.map((rows) => [name(plan(rows[0])), name(rows[0].vendor), name(rows[0].plan),
        ...["fee", "own_terms", "cost", "cheapest"].map((field) => money(amount(rows, field)))])));
  }

  function curves(state, rows, groups) {
    const newest = Math.max(...rows.map((row) => row.period));
    const points = Book.chosen("curves", state, newest);
    const of = groups
      .map((some) => [plan(some[0]), points.filter((row) => row.subscription === some[0].subscription)])
      .filter(([, some]) => some.length)
      .slice(0, MOST_CURVES);
    Lorenz.draw("curves", of.map(([text, some]) => [text, [0, ...some.map((row) => Number(row.persons))],
      [0, ...some.map((row) => Number(row.usage))]]), "persons");
    const percent = (value) => (value === null ? Money.plain(null) : `${value} %`);
    fill("table-curves", table("Concentration",
      ["Subscription", "Period", "#Persons", "#Seats", "#Unused seats", "#Gini", "#Largest hundredth has",
        "#Largest tenth has"],
      rows.map((row) => [name(plan(row)), Book.periods[row.period].label, Money.whole(row.persons), row.seats ?? "–",
        row.unused_seats ?? "–", row.gini ?? Money.plain(null), percent(row.top_1_percent),
        percent(row.top_10_percent)])));
  }

  function persons(state) {
    const rows = Book.chosen("persons", state, state.period).slice(0, MOST_PERSONS);
    const money = (each) => Money.plain(each, state.currency);
    fill("table-persons", table("Who uses most",
      ["Person", "Subscription", "Period", "#Calls", "#At API prices", "#Fee", "#Multiple", "Cheapest plan"],
      rows.map((row) => [name(row.person), name(plan(row)), Book.periods[row.period].label, Money.whole(row.calls),
        money(row.cost),
        money(row.fee), multiple([row]), name(row.cheapest_plan)])));
  }

  Filters.start((state) => {
    const rows = Book.chosen("plans", state, state.period);
    const groups = Book.ranked([...Book.grouped(rows, (row) => row.subscription).values()], (some) => amount(some,
      "cost"));
    summary(state, rows);
    plans(state, groups);
    curves(state, rows, groups);
    persons(state);
  });
})();
