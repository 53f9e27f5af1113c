// Draws the figures that the page holds.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);

  Theme.keepDrawn(() => {
    for (const [name, figure] of Object.entries(figures)) Theme.draw(document.getElementById(`chart-${name}`), figure);
  });
})();
