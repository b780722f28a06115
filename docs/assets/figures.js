// Draws the figures of a tutorial once they come into view; plotly is loaded only by pages that have some.
(() => {
  const figures = [...document.querySelectorAll(".figure")];
  if (!figures.length) return;
  const here = document.currentScript.src;
  const draw = (figure) => {
    const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
    window.Plotly.newPlot(figure, data, { ...layout, width: undefined, autosize: true }, { responsive: true, displaylogo: false });
  };
  const script = document.createElement("script");
  script.src = here.replace("figures.js", "plotly.min.js");
  script.onload = () => {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }, { rootMargin: "400px" });
    figures.forEach((figure) => seen.observe(figure));
  };
  document.head.append(script);
})();
