// What AI takes from the margin: cost against revenue, by product and customer.
"use strict";
(() => {
  const { chart, fill, key, name, table, tile } = Elements;
  const { amount } = Book;
  const { reasons } = Book.words;
  const MOST_PRODUCTS = 6;

  const product = (row) => Book.products[row.product];
  const has = (rows) => (amount(rows, "revenue") ?? 0n) > 0n && amount(rows, "cost") !== null;

  // Points of gross margin: cost in hundredths of revenue. Null where there is no revenue.
  function points(rows) {
    return has(rows) ? (100 * Money.place(amount(rows, "cost"))) / Money.place(amount(rows, "revenue")) : null;
  }

  const written = (value) => (value === null ? Money.plain(null) : value.toFixed(value < 1 ? 2 : 1));
  const at = (rows, period) => rows.filter((row) => row.period === period);

  function change(rows, period) {
    const [now, before] = [points(at(rows, period)), points(at(rows, period - 1))];
    if (now === null || before === null) return "–";
    return `${now < before ? "−" : "+"}${Math.abs(now - before).toFixed(1)}`;
  }

  function summary(state, known, rows) {
    const money = (each) => Money.plain(each, state.currency);
    const periods = [...new Set(known.map((row) => row.period))].sort((one, other) => one - other);
    const whose = Filters.whose();
    const [first, last] = [periods[0], periods.at(-1)];
    const of = whose ? [" of ", name(whose)] : [];
    if (!known.length) fill("lead", "No product has a revenue and a cost in what is chosen.");
    else if (first === last) {
      fill("lead", `In ${Book.periods[last].label}, AI took ${written(points(known))} points of the gross margin`,
        ...of, ".");
    } else {
      fill("lead", `From ${Book.periods[first].label} to ${Book.periods[last].label}, the points of gross margin`,
        ...of,
        ` that AI takes went from ${written(points(at(known, first)))} to ${written(points(at(known, last)))}.`);
    }
    fill("tiles",
      tile("Points lost", written(points(known)), "of products whose revenue is known"),
      tile("Cost of these", money(amount(known, "cost")), "effective"),
      tile("Revenue", money(amount(known, "revenue")), "net of tax"),
      tile("Cost without points", money(amount(rows, "cost")), "no revenue to hold it against"));
    const calls = Book.count(known, "unpriced_calls");
    fill("unknown", calls ? `${Money.whole(calls)} calls have no known price and are in no amount: points are no less.`
      : "");
  }

  function byProduct(state, known) {
    const groups = Book.ranked([...Book.grouped(known, (row) => row.product).values()], (some) => amount(some, "cost"));
    const shown = groups.slice(0, MOST_PRODUCTS);
    const periods = [...new Set(known.map((row) => row.period))].sort((one, other) => one - other);
    const labels = periods.map((each) => Book.periods[each].label);
    const dashes = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
    chart("points", shown.length ? {
      data: shown.map((rows, place) => ({
        type: "scatter", mode: "lines+markers", name: Elements.label(product(rows[0])), x: labels,
        y: periods.map((each) => points(at(rows, each))), line: { color: Elements.series(place), width: 2.6,
          dash: dashes[place] },
        marker: { size: 9 }, customdata: periods.map((each) => written(points(at(rows, each)))),
        hovertemplate: "%{fullData.name}, %{x}: %{customdata} points<extra></extra>",
      })),
      layout: {
        margin: { l: 40, r: 14, t: 10, b: 30 },
        xaxis: { type: "category", fixedrange: true, showgrid: false },
        yaxis: { fixedrange: true, nticks: 6, rangemode: "tozero" },
      },
      height: 300,
    } : null);
    key("points", shown.map((rows, place) => [product(rows[0]), Elements.series(place)]));
    fill("table-points", table("Points by month and product",
      ["Product", "Period", `#Cost, ${state.currency}`, `#Revenue, ${state.currency}`, "#Points lost", "#Change"],
      groups.flatMap((rows) => periods.filter((each) => at(rows, each).length).map((each) => {
        const of = at(rows, each);
        return [name(product(rows[0])), Book.periods[each].label, Money.exact(amount(of, "cost")),
          Money.exact(amount(of, "revenue")),
          written(points(of)), change(rows, each)];
      }))));
  }

  function customers(state, known) {
    const money = (each) => Money.plain(each, state.currency);
    const of = known.filter((row) => row.level === "customer");
    const groups = Book.ranked([...Book.grouped(of, (row) => `${row.product} ${row.customer}`).values()],
      (some) => amount(some, "cost"));
    fill("table-customers", table("By customer", ["Customer", "Product", "#Cost", "#Revenue", "#Points lost"],
      groups.map((rows) => [name(rows[0].customer), name(product(rows[0])), money(amount(rows, "cost")),
        money(amount(rows, "revenue")),
        written(points(rows))])));
  }

  function apart(state, rows) {
    const groups = Book.ranked([...Book.grouped(rows, (row) => `${row.product} ${row.reasons}`).values()],
      (some) => amount(some, "cost"));
    const why = (row) => (row.reasons ?? "").split(",").map((each) => reasons[each] ?? each).join("; ");
    fill("table-apart", table("Cost without points", ["Product", "~Why", `#Cost, ${state.currency}`],
      groups.map((some) => [name(product(some[0])), why(some[0]), Money.exact(amount(some, "cost"))]),
      ["All", "", Money.exact(amount(rows, "cost"))]));
  }

  Filters.start((state) => {
    const rows = Book.chosen("margins", state, state.period);
    // A product has points in a period where it has revenue there, whichever customers bear it.
    const groups = [...Book.grouped(rows, (row) => `${row.product} ${row.period}`).values()];
    const known = groups.filter(has).flat();
    const without = groups.filter((some) => !has(some)).flat();
    summary(state, known, without);
    byProduct(state, known);
    customers(state, known);
    apart(state, without);
  });
})();
