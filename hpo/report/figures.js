// Draws each figure in the colours of the page when it comes near the window, and again when the colours change.
"use strict";
(() => {
  const coarse = matchMedia("(pointer: coarse)").matches;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map();

  function template() {
    const css = getComputedStyle(document.documentElement);
    const value = (name) => css.getPropertyValue(name).trim();
    const axis = {
      gridcolor: value("--line"), zerolinecolor: value("--line"), linecolor: value("--line"),
      automargin: true, exponentformat: "power", title: { standoff: 8 },
    };
    const scale = [[0, value("--scale-low")], [1, value("--scale-high")]];
    return {
      layout: {
        paper_bgcolor: value("--card"),
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: "system-ui, sans-serif", size: 12, color: value("--ink") },
        colorway: ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6"].map(value),
        colorscale: { sequential: scale, sequentialminus: scale, diverging: scale },
        xaxis: axis,
        yaxis: axis,
        margin: { l: 56, r: 16, t: 14, b: 48 },
        legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
        hoverlabel: { align: "left", bgcolor: value("--card"), bordercolor: value("--line"), font: { family: "system-ui, sans-serif", color: value("--ink") } },
        annotationdefaults: { bgcolor: value("--card"), borderpad: 0 },
        dragmode: coarse ? false : "zoom",
      },
    };
  }

  // The texts of trials under the pointer are stored once for all figures of a study.
  const known = new Map();
  function trials(name) {
    const kept = document.getElementById(`trials-${name}`);
    if (!known.has(name)) known.set(name, kept === null ? {} : JSON.parse(kept.textContent));
    return known.get(name);
  }

  function read(place) {
    const figure = JSON.parse(place.nextElementSibling.textContent);
    const texts = trials(place.dataset.study);
    for (const trace of figure.data.filter((trace) => trace.customdata)) {
      const more = trace.hovertext ?? [];
      const lines = (number, at) => [texts[number], more[at]].filter(Boolean).join("<br>");
      trace.hovertext = trace.customdata.map((number, at) => (number === null ? "" : lines(number, at)));
      trace.hoverinfo = "text";
    }
    return figure;
  }

  function draw(place) {
    const figure = drawn.get(place) ?? read(place);
    drawn.set(place, figure);
    const layout = { ...figure.layout, autosize: true, template: template() };
    const settings = { responsive: true, displaylogo: false, displayModeBar: false };
    Plotly.react(place, figure.data, layout, settings);
  }

  const places = document.querySelectorAll(".plot");
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        watch.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "600px" });
  places.forEach((place) => watch.observe(place));
  dark.addEventListener("change", () => drawn.forEach((_, place) => draw(place)));
  addEventListener("beforeprint", () => places.forEach(draw));
})();
