// Draws the charts with the page's own colours, and again when the reader's light changes.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };

  function themed(layout, height, narrow) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
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
      font: { family: style.getPropertyValue("--sans"), size: narrow ? 11 : 12, color: colour("--soft") },
      hoverlabel: {
        bgcolor: colour("--card"),
        bordercolor: colour("--line"),
        font: { family: style.getPropertyValue("--sans"), size: 12, color: colour("--ink") },
        align: "left",
      },
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
    };
  }

  function draw() {
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    for (const [name, figure] of Object.entries(figures)) {
      const place = document.getElementById(`chart-${name}`);
      const narrow = place.clientWidth < 420;
      const data = figure.data.map((trace) => ({ ...trace, textfont: { color: ink, size: narrow ? 11 : 12 } }));
      Plotly.react(place, data, themed(figure.layout, figure.height, narrow), config);
    }
    document.documentElement.dataset.drawn = "yes";
  }

  dark.addEventListener("change", draw);
  draw();
})();
