// The bridge: why the bill changed from one billing period to another.
"use strict";
(() => {
  const { bearer, chart, fill, key, name, rowsFigure, table, tile } = Elements;
  const { effectSum, sentence, upper } = BridgeWords;
  const { effects, groups } = Book.words;
  const TURNED = { new_workflow: "retired_workflow", retired_workflow: "new_workflow" };
  const MOST_TEAMS = 6;

  // Effects between two periods, whichever is the later one: read the other way round, every sign changes.
  function effectRows(state) {
    const isTurned = state.before > state.after;
    const [first, last] = isTurned ? [state.after, state.before] : [state.before, state.after];
    return Book.chosen("effects", state)
      .filter((row) => row.before === first && row.after === last)
      .map((row) => ({
        ...row,
        effect: isTurned ? TURNED[row.effect] ?? row.effect : row.effect,
        cost: isTurned && row.cost !== null ? -row.cost : row.cost,
      }));
  }

  // What drove the cost on one side.
  function side(rows) {
    const usage = Book.amount(rows, "usage_cost");
    const priced = Book.count(rows, "tokens") - Book.count(rows, "unpriced_tokens");
    const [tasks, tokens] = [Book.count(rows, "tasks"), Book.count(rows, "tokens")];
    return {
      cost: Book.amount(rows, "cost"),
      tasks,
      perMillion: usage === null || priced <= 0 ? null : Money.each(usage * 1000000n, priced),
      perTask: tasks ? Math.round(tokens / tasks) : null,
      unpriced: Book.count(rows, "unpriced_calls"),
    };
  }

  // Tasks on both sides of workflows that both have.
  function sharedTasks(first, last) {
    const by = (row) => `${row.team} ${row.workflow}`;
    const shared = new Set(first.map(by).filter((each) => last.some((row) => by(row) === each)));
    return [first, last].map((some) => Book.count(some.filter((row) => shared.has(by(row))), "tasks"));
  }

  function tiles(state, before, after) {
    const made = (what, now, then, show) =>
      tile(what, show(now), [Money.change(now, then), `from ${show(then)}`].filter((each) => each).join(", "));
    fill("tiles",
      made("Bill", after.cost, before.cost, (cost) => Money.plain(cost, state.currency)),
      made("Price of 1 M tokens", after.perMillion, before.perMillion,
        (cost) => Money.plain(cost, state.currency, true)),
      made("Tasks", after.tasks, before.tasks, Money.whole),
      made("Tokens per task", after.perTask, before.perTask, Money.short));
  }

  function bridge(state, before, after, rows) {
    const [from, to] = [Book.periods[state.before].label, Book.periods[state.after].label];
    const told = effects
      .map((each) => ({ ...each, cost: Book.amount(rows.filter((row) => row.effect === each.effect), "cost") ?? 0n }));
    const steps = [];
    let level = before.cost ?? 0n;
    for (const each of told.filter((one) => one.cost !== 0n)) {
      steps.push({ label: each.label, base: level, cost: each.cost });
      level += each.cost;
    }
    const marks = [
      { label: from, base: 0n, cost: before.cost ?? 0n, isEnd: true },
      ...steps,
      { label: to, base: 0n, cost: after.cost ?? 0n, isEnd: true },
    ];
    const colours = { end: Theme.colour("--end"), up: Theme.colour("--up"), down: Theme.colour("--down") };
    const colour = (each) => (each.isEnd ? colours.end : each.cost > 0n ? colours.up : colours.down);
    const text = marks.map((each) =>
      each.isEnd ? Money.plain(each.cost, state.currency) : Money.signed(each.cost, state.currency));
    const tops = marks.map((each) => (each.cost > 0n ? each.base + each.cost : each.base));
    const figure = rowsFigure(marks.map((each) => each.label), [
      {
        x: marks.map((each) => Money.place(each.cost)),
        base: marks.map((each) => Money.place(each.base)),
        marker: { color: marks.map(colour) },
        customdata: text,
        hovertemplate: "%{customdata}<extra></extra>",
      },
      {
        type: "scatter",
        mode: "text",
        x: tops.map(Money.place),
        text: text.map((each) => ` ${each}`),
        textposition: "middle right",
        hoverinfo: "skip",
      },
    ], { shapes: steps.map((each, at) => connector(at, each.base)).concat(connector(steps.length, level)), right: 92 });
    chart("bridge", figure);
    key("bridge", [["more cost", colours.up], ["less cost", colours.down], ["the bill", colours.end]]);
    const change = (after.cost ?? 0n) - (before.cost ?? 0n);
    const heads = ["Effect", "~What it is", "#Amount", "#Of the first bill", `#Exact, ${state.currency}`];
    fill("table-bridge", table("The bridge", heads, [
      [from, "Bill", Money.plain(before.cost, state.currency), "", Money.exact(before.cost)],
      ...told.map((each) => [each.label, each.meaning, Money.signed(each.cost, state.currency),
        Money.percent(each.cost, before.cost, true), Money.exact(each.cost)]),
      ["Change", "Sum of the effects", Money.signed(level - (before.cost ?? 0n), state.currency),
        Money.percent(change, before.cost, true), Money.exact(level - (before.cost ?? 0n))],
    ], [to, "Bill", Money.plain(after.cost, state.currency), "", Money.exact(after.cost)]));
  }

  const connector = (at, level) => ({
    type: "line", x0: Money.place(level), x1: Money.place(level), y0: at, y1: at + 1,
    line: { color: Theme.colour("--soft"), width: 1, dash: "dot" }, layer: "below",
  });

  function bearers(state, rows, first, last) {
    const by = (row) => `${row.team} ${row.workflow}`;
    const sides = [first, last].map((some) => Book.grouped(some, by));
    const effectsBy = Book.grouped(rows, by);
    const cells = [...new Map([...first, ...last, ...rows].map((row) => [by(row), row])).entries()].map(([at, row]) => {
      const [before, after] = sides.map((each) => Book.amount(each.get(at) ?? [], "cost"));
      const [hadBefore, hasAfter] = sides.map((each) => each.has(at));
      return { at, row, before, after, hadBefore, hasAfter, change: (after ?? 0n) - (before ?? 0n) };
    });
    const sorted = Book.ranked(cells, (each) => Money.abs(each.change));
    const shown = Object.keys(groups);
    const heads = ["Team, workflow", "#Before", "#After", "#Change", ...shown.map((each) => `#${upper(groups[each])}`)];
    fill("table-bearers", table("Where the change comes from", heads, sorted.map((each) => [
      bearer(each.row),
      each.hadBefore ? Money.plain(each.before, state.currency) : "–",
      each.hasAfter ? Money.plain(each.after, state.currency) : "–",
      Money.signed(each.change, state.currency),
      ...shown.map((group) => effectCell(effectsBy.get(each.at) ?? [], group, state)),
    ])));
  }

  function effectCell(rows, group, state) {
    if (rows.some((row) => row.unknown)) return Money.plain(null);
    const amount = effectSum(rows, group);
    return amount === 0n ? "–" : Money.signed(amount, state.currency);
  }

  function bills(state) {
    const rows = Book.chosen("drivers", state);
    const byTeam = Book.grouped(rows, (row) => row.team);
    const dearest = Book.ranked([...byTeam], ([, of]) => Book.amount(of, "cost"));
    const named = dearest.slice(0, MOST_TEAMS).map(([team, of], at) => [Book.teams[team], Elements.series(at), of]);
    const others = dearest.slice(MOST_TEAMS);
    if (others.length) named.push([`${others.length} others`, Elements.rest(), others.flatMap(([, of]) => of)]);
    const of = (some, at) => Book.amount(some.filter((row) => row.period === at), "cost");
    const places = Book.periods.map((_, at) => at);
    const labels = Book.periods.map((each) => each.label);
    const totals = places.map((at) => of(rows, at));
    chart("bills", rows.length ? {
      data: [
        ...named.map(([team, colour, some]) => ({
          type: "bar", name: Elements.label(team), x: labels, y: places.map((at) => Money.place(of(some, at))),
          customdata: places.map((at) => Money.plain(of(some, at), state.currency)), marker: { color: colour },
          hovertemplate: "%{fullData.name}<br>%{x}: %{customdata}<extra></extra>",
        })),
        { type: "scatter", mode: "text", x: labels, y: totals.map((each) => Math.max(0, Money.place(each) ?? 0)),
          text: totals.map((each) => (each === null ? "" : Money.plain(each, state.currency))),
          textposition: "top center",
          cliponaxis: false, hoverinfo: "skip" },
      ],
      layout: {
        barmode: "relative", bargap: 0.38, margin: { l: 56, r: 8, t: 26, b: 30 },
        xaxis: { type: "category", fixedrange: true, showgrid: false },
        yaxis: { fixedrange: true, tickprefix: Money.mark(state.currency), tickformat: ",~r", nticks: 5,
          rangemode: "tozero" },
      },
      height: 300,
    } : null);
    key("bills", named.map(([team, colour]) => [team, colour]));
    fill("table-bills", table("Bill by month and team", ["Team", ...labels.map((each) => `#${each}`)],
      dearest.map(([team, some]) => [name(Book.teams[team]), ...places.map((at) => Money.exact(of(some, at)))]),
      ["All", ...totals.map(Money.exact)]));
  }

  const KINDS = [
    ["fisher_chained", "Prices"],
    ["generation_chained", "With successors"],
    ["unit_value", "Average token"],
  ];

  function prices() {
    const labels = Book.periods.map((each) => each.label);
    const value = (kind, at) => Book.tables.prices.find((row) => row.kind === kind && row.period === at)?.value ?? null;
    const lines = KINDS.map(([kind, told], at) => [told, Elements.series(at),
      labels.map((_, period) => value(kind, period))]);
    const known = Book.tables.prices.some((row) => row.value !== null);
    chart("prices", known ? {
      data: lines.map(([told, colour, values], at) => ({
        type: "scatter", mode: "lines+markers", name: told, x: labels,
        y: values.map((each) => (each === null ? null : Number(each))),
        line: { color: colour, width: 2.6, dash: ["solid", "dash", "dot"][at] },
        marker: { symbol: ["circle", "square", "diamond"][at], size: 8 },
        customdata: values, hovertemplate: "%{fullData.name}, %{x}: %{customdata}<extra></extra>",
      })),
      layout: {
        margin: { l: 40, r: 12, t: 10, b: 30 },
        xaxis: { type: "category", fixedrange: true, showgrid: false },
        yaxis: { fixedrange: true, nticks: 5, rangemode: "tozero" },
      },
      height: 260,
    } : null);
    key("prices", known ? lines.map(([told, colour]) => [told, colour]) : []);
    fill("table-prices", table("Price index", ["Index", ...labels.map((each) => `#${each}`)],
      known ? lines.map(([told, , values]) => [told, ...values.map((each) => each ?? Money.plain(null))]) : []));
  }

  function unknown(before, after, rows) {
    const told = [];
    const calls = before.unpriced + after.unpriced;
    if (calls) told.push(`${Money.whole(calls)} calls of both periods have no known price and are in no amount.`);
    const cells = new Set(rows.filter((row) => row.unknown).map((row) => `${row.team} ${row.workflow}`)).size;
    if (cells) {
      told.push(`Of ${Money.whole(cells)} workflows no cost is known in either period: their change is not known.`);
    }
    fill("unknown", told.join(" "));
  }

  Filters.start((state) => {
    bills(state);
    prices();
    if (state.before === null || state.after === null || state.before === state.after) {
      fill("lead", "A bridge needs two different billing periods with charges.");
      for (const id of ["tiles", "unknown", "table-bridge", "table-bearers"]) fill(id);
      key("bridge", []);
      chart("bridge", null);
      return;
    }
    const [first, last] = [state.before, state.after].map((at) => Book.chosen("drivers", state, at));
    const rows = effectRows(state);
    const [before, after] = [side(first), side(last)];
    fill("lead", first.length || last.length ? sentence(state, before, after, rows, sharedTasks(first, last))
      : "Nothing was charged to what is chosen.");
    tiles(state, before, after);
    unknown(before, after, rows);
    bridge(state, before, after, rows);
    bearers(state, rows, first, last);
  });
})();
