// What a million tokens would cost at more or less use: whole instances cost the same idle or used.
"use strict";
const PathsVolume = (() => {
  const { chart, fill, key, name, table } = Elements;
  const { paths, break_even: noBreakEven } = Book.words;
  const STEPS = 160;
  const MOST_INSTANCES = 1000;

  const order = Object.keys(paths);
  const path = (row) => paths[row.path] ?? row.path;
  const colour = (row) => Elements.series(Math.max(0, order.indexOf(row.path)));
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
  const dash = (row) => DASHES[Math.max(0, order.indexOf(row.path))];

  const tokens = (count) => (count === null ? "–" : Money.short(count));
  const used = (share) => (share === null ? "–" : `${(100 * Money.place(share)).toFixed(1)} %`);

  // Tokens that one instance can do in a whole month at its planned utilisation; null of what is paid by the token.
  function capacity(row) {
    const told = [row.instances, row.utilisation, row.instance_cost, row.instance_hourly_cost, row.covered_hours,
      row.planned_utilisation];
    if (told.some((each) => !each)) return null;
    const hours = Money.place(row.instance_cost) / Money.place(row.instance_hourly_cost);
    const aFullHour = row.tokens / (row.instances * Money.place(row.utilisation) * Money.place(row.covered_hours));
    return aFullHour * hours * Money.place(row.planned_utilisation);
  }

  // What a million tokens cost at so many a month; where a mark is drawn, so a float.
  function perMillion(row, volume, able) {
    if (able === null) return Money.place(row.per_million);
    const instances = Math.max(1, Math.ceil(volume / able));
    return instances > MOST_INSTANCES ? null : (instances * Money.place(row.instance_cost) * 1e6) / volume;
  }

  // Tokens of a whole month, of the hours that the book covers.
  function monthly(row) {
    const hours = row.instance_hourly_cost ? Money.place(row.instance_cost) / Money.place(row.instance_hourly_cost) : null;
    const covered = row.covered_hours === null ? null : Money.place(row.covered_hours);
    return hours && covered ? (row.tokens * hours) / covered : row.tokens;
  }

  // Draws the paths of one workload in one period.
  function draw(state, rows) {
    const known = rows.filter((row) => row.cost !== null && row.tokens > 0 && row.per_million !== null);
    const fixed = known.filter((row) => capacity(row) !== null);
    const money = (each) => Money.plain(each, state.currency, true);
    if (!fixed.length) {
      chart("volume", null);
      key("volume", []);
    } else {
      const now = Math.max(...fixed.map(monthly));
      const ends = fixed.flatMap((row) => [now, capacity(row), row.break_even_tokens]).filter((each) => each > 0);
      const [low, high] = [Math.min(...ends) / 5, Math.max(...ends) * 5];
      const tens = Array.from({ length: 18 }, (_, at) => 10 ** at);
      const x = Array.from({ length: STEPS + 1 }, (_, at) => low * (high / low) ** (at / STEPS));
      const costs = known.map((row) => x.map((volume) => perMillion(row, volume, capacity(row))));
      const crossing = fixed.filter((row) => row.break_even_tokens !== null);
      const api = known.find((row) => row.path === "model_api");
      chart("volume", {
        data: [
          ...known.map((row, at) => ({
            type: "scatter", mode: "lines", name: Elements.label(path(row)), x, y: costs[at],
            line: { color: colour(row), width: 2.4, dash: dash(row) },
            customdata: x.map(Money.short),
            hovertemplate: `%{fullData.name}: ${Money.mark(state.currency)}%{y:.3~g} per 1 M at %{customdata} tokens` +
              "<extra></extra>",
          })),
          ...(api ? [{
            type: "scatter", mode: "markers", name: "break-even", x: crossing.map((row) => row.break_even_tokens),
            y: crossing.map(() => Money.place(api.per_million)),
            marker: { symbol: "x", size: 11, color: crossing.map(colour) },
            customdata: crossing.map((row) => `${path(row)} pays from ${Money.short(row.break_even_tokens)} tokens`),
            hovertemplate: "%{customdata} a month<extra></extra>",
          }] : []),
        ],
        layout: {
          margin: { l: 62, r: 16, t: 12, b: 46 },
          shapes: [{ type: "line", x0: now, x1: now, yref: "paper", y0: 0, y1: 1,
            line: { color: Theme.colour("--soft"), width: 1.5, dash: "dot" } }],
          annotations: [{ x: Math.log10(now), xanchor: "left", y: 1, yref: "paper", yanchor: "top", text: " used now",
            showarrow: false }],
          xaxis: { type: "log", fixedrange: true, title: { text: "tokens a month" },
            tickvals: tens, ticktext: tens.map((each) => Money.short(each).replace(/\.0+ /, " ")) },
          yaxis: { type: "log", fixedrange: true, tickprefix: Money.mark(state.currency), tickformat: "~r", dtick: 1 },
        },
        height: 340,
      });
      key("volume", known.map((row) => [path(row), colour(row)]));
    }
    fill("table-volume", table("Break-even by path",
      ["Path", "By", "#Tokens now", "#Instances", "#Used", "#Pays from tokens a month", "#Pays from use of", "~Why not"],
      rows.filter((row) => row.cost !== null).map((row) => [path(row), name(row.offer ?? "as bought"),
        Money.short(row.tokens), row.instances ?? "–", used(row.utilisation), tokens(row.break_even_tokens),
        used(row.break_even_utilisation), noBreakEven[row.break_even_reason] ?? row.break_even_reason ?? ""])));
    fill("table-sensitivity", table("If it comes otherwise",
      ["Path", "#API prices fall a year", "#Pays now from use of", "#In a year", "#Over the hardware's life",
        "#Another life, months", `#Cost with it`, "#Paid back in months"],
      rows.filter((row) => row.cost !== null && row.instances !== null).map((row) => [path(row),
        used(row.api_price_decline), used(row.break_even_utilisation), used(row.break_even_utilisation_in_a_year),
        used(row.break_even_utilisation_over_life), row.other_life_months ?? "–",
        row.other_life_cost === null ? "–" : money(row.other_life_cost), row.payback_months ?? "–"])));
  }

  return { colour, draw, order, path, used };
})();
