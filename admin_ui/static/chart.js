// Says below a chart what the column under the pointer is, and lets arrow keys walk along it.
for (const chart of document.querySelectorAll("[data-chart]")) {
  const svg = chart.querySelector("svg");
  const readout = chart.querySelector(".readout");
  const columns = [...svg.querySelectorAll("g")];
  const words = columns.map((column) => {
    const title = column.querySelector("title");
    const text = title.textContent;
    title.remove(); // the readout takes the place of the browser's own tooltip
    return text;
  });
  let chosen = -1;

  const choose = (i) => {
    columns[chosen]?.classList.remove("on");
    chosen = i;
    columns[i]?.classList.add("on");
    readout.textContent = words[i] ?? "\u00a0";
  };

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const i = Math.floor(((event.clientX - box.left) / box.width) * columns.length);
    choose(Math.min(columns.length - 1, Math.max(0, i)));
  });
  svg.addEventListener("pointerleave", () => choose(-1));

  svg.setAttribute("tabindex", "0");
  readout.setAttribute("aria-live", "polite");
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -columns.length, End: columns.length };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const from = chosen < 0 ? columns.length - (step < 0 ? 0 : 1) : chosen;
    choose(Math.min(columns.length - 1, Math.max(0, from + step)));
  });
  svg.addEventListener("blur", () => choose(-1));
}
