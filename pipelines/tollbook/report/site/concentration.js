// How unevenly usage is spread over customers.
"use strict";
(() => {
  const { chart, fill, key, name, table, tile } = Elements;
  const { measures } = Book.words;
  const DEAREST = Object.keys(measures)[0];

  const share = (amount) => (amount === null ? Money.plain(null) : `${(100 * Money.place(amount)).toFixed(1)} %`);
  const ratio = (amount) => (amount === null ? Money.plain(null) : Money.place(amount).toFixed(3));
  const whole = (count) => (count === null ? Money.plain(null) : Money.whole(count));
  const product = (row) => (row.product === null ? "all products" : Book.products[row.product]);

  // What calls have that name no customer, of all calls.
  const unnamed = (row) => (row.unknown_quantity === null ? "none"
    : Money.percent(row.unknown_quantity, (row.quantity ?? 0n) + row.unknown_quantity));

  function quantity(row) {
    if (row.quantity === null) return Money.plain(null);
    return row.measure === "list_cost" ? Money.exact(row.quantity) : Money.whole(row.quantity / 10n ** 12n);
  }

  function summary(state, of) {
    const row = of.find((each) => each.measure === DEAREST && each.gini !== null) ?? of[0];
    if (!row) {
      fill("lead", "No call names a customer in what is chosen.");
      for (const id of ["unknown", "tiles"]) fill(id);
      return;
    }
    const what = measures[row.measure].toLowerCase();
    const few = (count) => (count === 1 ? "one of them" : `${whole(count)} of them`);
    fill("lead", `In ${Book.periods[row.period].label}, ${whole(row.customers)} customers of `, name(product(row)),
      ` are named. The largest has ${share(row.largest_share)} of their ${what}; ${few(row.customers_with_half)} `,
      `${row.customers_with_half === 1 ? "makes" : "make"} half of it or more, and `,
      `${few(row.customers_with_90_percent)} nine tenths.`);
    fill("unknown", row.unknown_quantity === null ? ""
      : `${unnamed(row)} of the ${what} is of calls that name no customer, and in no share.`);
    fill("tiles",
      tile("Largest customer", share(row.largest_share), `of the ${what}`),
      tile("Largest tenth of customers", share(row.top_10_percent_share), `of the ${what}`),
      tile("Customers with nine tenths", whole(row.customers_with_90_percent), `of ${whole(row.customers)}`),
      tile("Gini coefficient", ratio(row.gini), "0: all the same, 1: one has it all"));
  }

  const HEADS = ["#Customers", "#Quantity", "#Gini", "#Largest", "#Largest hundredth", "#Largest tenth", "#With half",
    "#With nine tenths", "#Naming no customer"];
  const cells = (row) => [whole(row.customers), quantity(row), ratio(row.gini), share(row.largest_share),
    share(row.top_1_percent_share), share(row.top_10_percent_share), whole(row.customers_with_half),
    whole(row.customers_with_90_percent), unnamed(row)];
  const ordered = (rows) => Object.keys(measures).flatMap((each) => rows.filter((row) => row.measure === each));

  function curves(of) {
    const drawn = ordered(of).filter((row) => row.curve);
    Lorenz.draw("curves", drawn.map((row) => [measures[row.measure], row.curve.map((_, at) => at),
      row.curve.map(Number)]), "customers");
    fill("table-curves", table("Concentration by measure", ["Measure", ...HEADS],
      ordered(of).map((row) => [measures[row.measure], ...cells(row)])));
  }

  function shares(rows) {
    const of = rows.filter((row) => row.measure === DEAREST && row.gini !== null);
    const labels = of.map((row) => Book.periods[row.period].label);
    const lines = [["largest customer", "largest_share"], ["largest tenth", "top_10_percent_share"]];
    chart("shares", of.length ? {
      data: lines.map(([text, field], at) => ({
        type: "scatter", mode: "lines+markers", name: text, x: labels,
        y: of.map((row) => 100 * Money.place(row[field])),
        line: { color: Elements.series(at), width: 2.6, dash: ["solid", "dash"][at] },
        marker: { symbol: ["circle", "square"][at], size: at ? 7 : 11 },
        hovertemplate: "%{fullData.name}, %{x}: %{y:.1f} %<extra></extra>",
      })),
      layout: {
        margin: { l: 48, r: 12, t: 10, b: 30 },
        xaxis: { type: "category", fixedrange: true, showgrid: false },
        yaxis: { fixedrange: true, range: [0, 102], ticksuffix: " %", dtick: 25 },
      },
      height: 260,
    } : null);
    key("shares", of.length ? lines.map(([text], at) => [text, Elements.series(at)]) : []);
    fill("table-shares", table("Concentration by period", ["Period", "Measure", ...HEADS],
      ordered(rows).sort((one, other) => one.period - other.period)
        .map((row) => [Book.periods[row.period].label, measures[row.measure], ...cells(row)])));
  }

  function products(rows) {
    const of = rows.filter((row) => row.product !== null && row.measure === DEAREST);
    fill("table-products", table("By product", ["Product", ...HEADS],
      Book.ranked(of, (row) => row.quantity).map((row) => [name(product(row)), ...cells(row)])));
  }

  Filters.start((state) => {
    const every = Book.chosen("concentration", state, state.period);
    const rows = every.filter((row) => row.product === state.product);
    const newest = Math.max(...rows.map((row) => row.period));
    const of = rows.filter((row) => row.period === newest);
    summary(state, of);
    curves(of);
    shares(rows);
    products(every.filter((row) => row.period === newest));
  });
})();
