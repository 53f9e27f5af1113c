// What usage costs beside raw inference, by purpose, with the rules that classified it.
"use strict";
(() => {
  const { bearer, chart, el, fill, key, name, rowsFigure, table, tile, workflowLabels } = Elements;
  const { purposes, rules, by_tokens: byTokens } = Book.words;
  const BASE = "generation";
  const MOST_BARS = 12;
  const ENDING = "_by_tokens";
  const { amount, count } = Book;

  const of = (rows, purpose) => rows.filter((row) => row.purpose === purpose);
  const base = (rows) => amount(of(rows, BASE), "cost");
  const hidden = (rows) => amount(rows.filter((row) => row.purpose !== BASE), "cost");
  const onTop = (rows) => Money.percent(hidden(rows) ?? 0n, base(rows));
  const cell = (row) => `${row.team} ${row.workflow}`;

  // Purposes that the book knows, and any that it has no words for.
  function present(rows) {
    const met = new Set(rows.map((row) => row.purpose));
    const known = purposes.filter((each) => met.has(each.purpose));
    const more = [...met].filter((each) => !purposes.some((one) => one.purpose === each)).sort();
    return [...known, ...more.map((purpose) => ({ purpose, label: purpose, meaning: "" }))];
  }

  const colour = (purpose) =>
    purpose === BASE ? Elements.rest() : Elements.series(Math.max(0,
      purposes.findIndex((each) => each.purpose === purpose) - 1));

  function rulesSaid(rows) {
    const met = [...new Set(rows.flatMap((row) => row.rule.split(", ")))].filter((each) => each).sort();
    const said = met.map((rule) => {
      const isByTokens = rule.endsWith(ENDING);
      const plain = isByTokens ? rule.slice(0, -ENDING.length) : rule;
      return `${rules[plain] ?? plain}${isByTokens ? ` (${byTokens})` : ""}`;
    });
    return said.join("; ");
  }

  function stack(state, rows) {
    const places = [...new Set(rows.map((row) => row.period))].sort((one, other) => one - other);
    const labels = places.map((at) => Book.periods[at].label);
    const at = (some, period) => some.filter((row) => row.period === period);
    const shown = present(rows);
    const totals = places.map((period) => amount(at(rows, period), "cost"));
    chart("stack", rows.length ? {
      data: [
        ...shown.map((each) => ({
          type: "bar", name: Elements.label(each.label), x: labels, marker: { color: colour(each.purpose) },
          y: places.map((period) => Money.place(amount(at(of(rows, each.purpose), period), "cost"))),
          customdata: places.map((period) => Money.plain(amount(at(of(rows, each.purpose), period), "cost"),
            state.currency)),
          hovertemplate: "%{fullData.name}<br>%{x}: %{customdata}<extra></extra>",
        })),
        { type: "scatter", mode: "text", x: labels, y: totals.map((each) => Math.max(0, Money.place(each) ?? 0)),
          text: places.map((period) => `+${onTop(at(rows, period))}`.replace("+–", "–")),
          textposition: "top center",
          cliponaxis: false, hoverinfo: "skip" },
      ],
      layout: {
        barmode: "relative", bargap: 0.42, margin: { l: 56, r: 8, t: 26, b: 30 },
        xaxis: { type: "category", fixedrange: true, showgrid: false },
        yaxis: { fixedrange: true, tickprefix: Money.mark(state.currency), tickformat: ",~r", nticks: 5,
          rangemode: "tozero" },
      },
      height: 320,
    } : null);
    key("stack", shown.map((each) => [each.label, colour(each.purpose)]));
    fill("table-stack", table("Cost by month and purpose", ["Purpose", ...labels.map((each) => `#${each}`)],
      shown.map((each) => [name(each.label), ...places.map((period) => Money.exact(amount(at(of(rows, each.purpose),
        period), "cost")))]),
      ["All", ...totals.map(Money.exact)]));
  }

  function byPurpose(state, rows) {
    const whole = amount(rows, "cost");
    fill("table-purposes", table("By purpose",
      ["Purpose", "~What it is, and the rule", "#Calls", "#Tokens", "#Cost", "#On raw inference", "#Of all",
        `#Exact, ${state.currency}`],
      present(rows).map((each) => {
        const some = of(rows, each.purpose);
        const cost = amount(some, "cost");
        return [name(each.label),
          el("span", {}, each.meaning, " ", el("span", { class: "soft" }, name(rulesSaid(some)))),
          Money.whole(count(some, "calls")), Money.short(count(some, "tokens")), Money.plain(cost, state.currency),
          each.purpose === BASE ? "–" : Money.percent(cost, base(rows)), Money.percent(cost, whole),
          Money.exact(cost)];
      }),
      ["All", "", Money.whole(count(rows, "calls")), Money.short(count(rows, "tokens")), Money.plain(whole,
        state.currency),
        onTop(rows), "", Money.exact(whole)]));
  }

  function bearers(state, rows) {
    const groups = Book.ranked([...Book.grouped(rows, cell).values()], (some) => amount(some, "cost"));
    const shown = groups.slice(0, MOST_BARS).filter((some) => base(some) > 0n);
    const parts = present(rows).filter((each) => each.purpose !== BASE);
    const ratio = (cost, some) => (cost === null ? null : (100 * Money.place(cost)) / Money.place(base(some)));
    chart("bearers", shown.length ? rowsFigure(workflowLabels(shown.map((some) => some[0])), [
      ...parts.map((each) => ({
        name: Elements.label(each.label), marker: { color: colour(each.purpose) },
        x: shown.map((some) => ratio(amount(of(some, each.purpose), "cost"), some)),
        customdata: shown.map((some) => Money.percent(amount(of(some, each.purpose), "cost") ?? 0n, base(some))),
        hovertemplate: "%{fullData.name}: %{customdata}<extra></extra>",
      })),
      { type: "scatter", mode: "text", x: shown.map((some) => ratio(hidden(some) ?? 0n, some)),
        text: shown.map((some) => ` ${onTop(some)}`), textposition: "middle right", hoverinfo: "skip" },
    ]) : null);
    key("bearers", parts.map((each) => [each.label, colour(each.purpose)]));
    fill("table-bearers", table("Hidden cost by workflow",
      ["Team, workflow", "#Raw inference", "#Hidden", "#On top", ...parts.map((each) => `#${each.label}`)],
      groups.map((some) => [
        bearer(some[0]),
        Money.exact(base(some)), Money.exact(hidden(some) ?? 0n), onTop(some),
        ...parts.map((each) => Money.exact(amount(of(some, each.purpose), "cost") ?? 0n))])));
  }

  function summary(state, rows) {
    const dearest = Book.ranked(present(rows).filter((each) => each.purpose !== BASE),
      (each) => amount(of(rows, each.purpose), "cost"));
    const money = (cost) => Money.plain(cost, state.currency);
    const whose = Filters.whose();
    const when = state.period === null ? "all periods" : Book.periods[state.period].label;
    if (!rows.length) fill("lead", "There is no usage in what is chosen.");
    else {
      const first = dearest[0];
      const largest = first && money(amount(of(rows, first.purpose), "cost"));
      const most = first ? ` Most of it is ${first.label.toLowerCase()}: ${largest}.` : "";
      fill("lead", `In ${when}, on top of ${money(base(rows))} of raw inference`, ...(whose ? [" of ", name(whose)]
        : []),
        ` came ${money(hidden(rows) ?? 0n)} of other cost: ${onTop(rows)}.${most}`);
    }
    fill("tiles",
      tile("On top of raw inference", onTop(rows), "published figures: 40 to 60 %"),
      tile("Raw inference", money(base(rows)), Money.percent(base(rows), amount(rows, "cost")).concat(" of all")),
      tile("Hidden", money(hidden(rows)), Money.percent(hidden(rows), amount(rows, "cost")).concat(" of all")),
      tile("All", money(amount(rows, "cost")), `${Money.whole(count(rows, "calls"))} calls`));
    const unpriced = count(rows, "unpriced_calls");
    fill("unknown", unpriced ? `${Money.whole(unpriced)} calls have no known price and are in no amount.` : "");
  }

  Filters.start((state) => {
    const rows = Book.chosen("hidden", state, state.period);
    summary(state, rows);
    stack(state, rows);
    byPurpose(state, rows);
    bearers(state, rows);
  });
})();
