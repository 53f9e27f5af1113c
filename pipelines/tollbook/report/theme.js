// How charts look: the page's own colours, in the reader's light.
"use strict";
const Theme = (() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };
  const NARROW = 420; // CSS pixels

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function themed(layout, height, narrow) {
    const axis = (own) => ({
      gridcolor: colour("--line"),
      zerolinecolor: colour("--line"),
      linecolor: colour("--line"),
      tickcolor: "rgba(0,0,0,0)",
      ...own,
    });
    return {
      ...layout,
      height,
      autosize: true,
      dragmode: false,
      showlegend: false,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: colour("--sans"), size: narrow ? 11 : 12, color: colour("--soft") },
      hoverlabel: {
        bgcolor: colour("--card"),
        bordercolor: colour("--line"),
        font: { family: colour("--sans"), size: 12, color: colour("--ink") },
        align: "left",
      },
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
    };
  }

  // Draws a figure (data, layout, height in CSS pixels) into an element.
  function draw(place, figure) {
    const narrow = place.clientWidth < NARROW;
    const textfont = { color: colour("--ink"), size: narrow ? 11 : 12 };
    const data = figure.data.map((trace) => ({ ...trace, textfont }));
    return Plotly.react(place, data, themed(figure.layout, figure.height, narrow), config);
  }

  // Calls a function now, and again when the reader's light changes.
  function keepDrawn(drawAll) {
    dark.addEventListener("change", drawAll);
    drawAll();
    document.documentElement.dataset.drawn = "yes";
  }

  return { NARROW, colour, draw, keepDrawn };
})();
