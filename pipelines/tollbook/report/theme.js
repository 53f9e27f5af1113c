// How charts look: the page's own colours, in the reader's light.
"use strict";
const Theme = (() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };
  const phone = matchMedia("(max-width: 560px)");
  const NARROW = 420; // CSS pixels, of a chart
  const PAPER = 660; // CSS pixels, of a chart that is printed
  let isPaper = false;

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
      ...(isPaper ? { width: PAPER, autosize: false } : { autosize: true }),
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
    const narrow = !isPaper && place.clientWidth < NARROW;
    const textfont = { color: colour("--ink"), size: narrow ? 11 : 12 };
    const data = figure.data.map((trace) => ({ ...trace, textfont }));
    return Plotly.react(place, data, themed(figure.layout, figure.height, narrow), config);
  }

  // Whether charts stand on a screen as narrow as a phone's.
  const isPhone = () => phone.matches && !isPaper;

  const isOnPaper = () => isPaper;

  // Calls a function now, again when the reader's light or the screen changes, and for paper, which is light.
  function keepDrawn(drawAll) {
    const printed = (now) => () => {
      isPaper = now;
      document.documentElement.classList.toggle("paper", now);
      drawAll();
    };
    dark.addEventListener("change", drawAll);
    phone.addEventListener("change", drawAll);
    addEventListener("beforeprint", printed(true));
    addEventListener("afterprint", printed(false));
    drawAll();
    document.documentElement.dataset.drawn = "yes";
  }

  return { colour, draw, isOnPaper, isPhone, keepDrawn };
})();
