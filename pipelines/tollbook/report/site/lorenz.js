// Lorenz curves: what share the members up to a share have, the smallest first.
"use strict";
const Lorenz = (() => {
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];

  // Draws curves, each a name and the points of x and y in percent, or hides the place where there are none.
  function draw(id, curves, who) {
    const line = (text, x, y, look) => ({
      type: "scatter", mode: "lines", name: Elements.label(text), x, y, line: look,
      hovertemplate: `%{x:.1f} % of ${who}: %{y:.1f} %<extra>%{fullData.name}</extra>`,
    });
    const axis = { fixedrange: true, ticksuffix: " %", dtick: 25 };
    const shown = curves.slice(0, DASHES.length);
    Elements.chart(id, shown.length ? {
      data: [
        line("all the same", [0, 100], [0, 100], { color: Elements.rest(), width: 1.5, dash: "dot" }),
        ...shown.map(([text, x, y], at) =>
          line(text, x, y, { color: Elements.series(at), width: 2.6, dash: DASHES[at] })),
      ],
      layout: {
        margin: { l: 48, r: 26, t: 10, b: 44 },
        xaxis: { ...axis, range: [0, 100.5], title: { text: who } },
        yaxis: { ...axis, range: [0, 102] },
      },
      height: 340,
    } : null);
    Elements.key(id, shown.length ? [...shown.map(([text], at) => [text, Elements.series(at)]),
      ["all the same", Elements.rest()]] : []);
  }

  return { draw };
})();
