// The explorer: recorded runs, as the reader chooses. No library, and no network: data come as
// files of script, which a page may load that was itself opened as a file.
const explorer = { records: {} };

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  // Of the palette of Okabe and Ito, in the book's order: rich, lazy, then the others.
  const COLORS = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A8A"];
  const DASHES = ["", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 2"];
  const SHOWN = {
    dlr_train: "D_LR on training samples", dlr_test: "D_LR on test samples",
    accuracy_test: "test accuracy", accuracy_train: "training accuracy",
    loss_train: "training loss", loss_test: "test loss", parameter_norm: "squared norm of the parameters",
    quality: "quality, cumulative", utilization: "utilization, cumulative",
    eigenvalues: "eigenvalues",
  };
  const SPECTRA = ["quality", "utilization", "eigenvalues"];
  const LOG = ["loss_train", "loss_test", "parameter_norm", "eigenvalues"];
  const METRICS = {
    accuracy_train: "training accuracy", accuracy_test: "test accuracy",
    dlr_train: "D_LR, training", dlr_test: "D_LR, test", effective_dimension: "effective dimension",
  };
  const root = document.getElementById("recorded-runs");
  const by = (name) => root.querySelector(`[name=${name}]`);
  const path = document.currentScript.src.replace(/explorer\.js.*/, "explorer/");

  const make = (name, attributes = {}, parent = null, text = "") => {
    const svg = ["svg", "g", "line", "path", "text"].includes(name);
    const node = svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text) node.textContent = text;
    parent?.append(node);
    return node;
  };

  const load = (file) => new Promise((resolve, reject) => {
    make("script", { src: path + file }, document.head).onload = resolve;
    document.head.lastChild.onerror = () => reject(new Error(`${file} is missing`));
  });

  const fill = (select, options, wanted) => {
    select.replaceChildren();
    for (const [value, text] of options) make("option", { value }, select, text);
    if (options.some(([value]) => value === wanted)) select.value = wanted;
  };

  // The runs that are shown: [{variant, seed, points: [[x, y], ...]}, ...].
  const chosen = () => {
    const variants = explorer.records[by("experiment").value][by("tier").value];
    const seed = by("seed").value;
    return Object.entries(variants).flatMap(([variant, runs]) => runs
      .filter((run) => seed === "all" || String(run.seed) === seed)
      .map((run) => ({ variant, run, seed: run.seed, points: (run.shown[by("shown").value] ?? [])
        .filter(([, y]) => y !== null) })));
  };

  const number = (value) => value === null || value === undefined ? "–"
    : Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(1)
      : String(+value.toPrecision(3));

  const ticks = (low, high, log) => {
    const found = [];
    if (log) {
      const all = [];
      for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) all.push(10 ** e);
      const step = Math.ceil(all.length / 7);
      return all.filter((t, i) => i % step === 0 && t >= low * 0.999 && t <= high * 1.001);
    }
    const rough = (high - low) / 5, size = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * size).find((s) => s >= rough);
    for (let t = Math.ceil(low / step) * step; t <= high + step / 1e6; t += step) found.push(t);
    return found;
  };

  const draw = () => {
    const what = by("shown").value, spectrum = SPECTRA.includes(what), logY = LOG.includes(what);
    const runs = chosen().map((r) => ({ ...r,
      points: r.points.filter(([, y]) => !logY || y > 0) })).filter((r) => r.points.length);
    const box = root.querySelector(".chart");
    box.replaceChildren();
    const names = [...new Set(chosen().map((r) => r.variant))];
    const W = Math.max(340, Math.min(720, box.clientWidth)), H = Math.round(0.25 * W + 220);
    const [left, right, top, bottom] = [64, 20, 12, 48];
    const title = `${SHOWN[what]} of ${by("experiment").value}, tier ${by("tier").value}: ` +
      names.join(", ");
    const svg = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title }, box);
    if (!runs.length) {
      make("text", { x: W / 2, y: H / 2, "text-anchor": "middle" }, svg, "These runs have no such curve.");
      return;
    }
    const xs = runs.flatMap((r) => r.points.map(([x]) => x));
    const ys = runs.flatMap((r) => r.points.map(([, y]) => y));
    // Epochs begin at 0: their logarithm is taken of epoch + 1.
    const shift = spectrum ? 0 : 1;
    const fx = (x) => Math.log(x + shift), fy = (y) => (logY ? Math.log(y) : y);
    const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
    let [y0, y1] = [Math.min(...ys), Math.max(...ys)];
    if (!logY) [y0, y1] = [Math.min(0, y0), Math.max(y1, what.startsWith("loss") ? y1 : 1)];
    if (fy(y1) === fy(y0)) y1 = logY ? 2 * y1 : y1 + 1;
    const X = (x) => left + (W - left - right) * (fx(x) - fx(x0)) / (fx(x1) - fx(x0) || 1);
    const Y = (y) => H - bottom - (H - top - bottom) * (fy(y) - fy(y0)) / (fy(y1) - fy(y0));
    for (const y of ticks(y0, y1, logY)) {
      make("line", { x1: left, x2: W - right, y1: Y(y), y2: Y(y), class: "grid" }, svg);
      make("text", { x: left - 8, y: Y(y) + 4, "text-anchor": "end" }, svg, number(y));
    }
    const marks = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000]
      .filter((x) => x >= x0 && x <= x1);
    let last = -100;
    for (const x of marks) {
      if (X(x) - last < 34) continue;
      last = X(x);
      make("line", { x1: X(x), x2: X(x), y1: top, y2: H - bottom, class: "grid" }, svg);
      make("text", { x: X(x), y: H - bottom + 18, "text-anchor": "middle" }, svg, String(x));
    }
    make("text", { x: (W + left) / 2, y: H - 6, "text-anchor": "middle" }, svg,
      spectrum ? "eigenfunction k (logarithmic)" : "epoch (logarithmic)");
    for (const run of runs) {
      const i = names.indexOf(run.variant);
      const d = run.points.map(([x, y], k) => `${k ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`);
      make("path", { d: d.join(""), fill: "none", stroke: COLORS[i % 7], "stroke-width": 2,
        "stroke-dasharray": DASHES[i % 7] }, svg);
    }
    const legend = make("ul", { class: "legend" }, box);
    names.forEach((name, i) => {
      const item = make("li", {}, legend);
      const key = make("svg", { viewBox: "0 0 34 8", width: 34, height: 8, "aria-hidden": "true" }, item);
      make("line", { x1: 1, x2: 33, y1: 4, y2: 4, stroke: COLORS[i % 7], "stroke-width": 3,
        "stroke-dasharray": DASHES[i % 7] }, key);
      item.append(` ${name}`);
    });
  };

  const tabulate = () => {
    const table = root.querySelector("table");
    table.replaceChildren();
    const head = make("tr", {}, make("thead", {}, table));
    for (const name of ["variant", "seed", ...Object.values(METRICS)])
      make("th", { scope: "col" }, head, name);
    const body = make("tbody", {}, table);
    for (const { variant, seed, run } of chosen()) {
      const row = make("tr", {}, body);
      make("th", { scope: "row" }, row, variant);
      make("td", {}, row, String(seed));
      for (const metric of Object.keys(METRICS)) make("td", {}, row, number(run.metrics[metric]));
    }
    const each = (key) => [...new Set(chosen().map(({ run }) => run[key]))].join("; ");
    root.querySelector(".source").textContent =
      `Data: ${each("data")}. Device: ${each("device")}. Commit: ${each("commit")}.`;
  };

  const csv = () => {
    const x = SPECTRA.includes(by("shown").value) ? "k" : "epoch";
    const lines = chosen().flatMap((r) => r.points.map(([k, y]) => `${r.variant},${r.seed},${k},${y}`));
    return [`variant,seed,${x},${by("shown").value}`, ...lines, ""].join("\n");
  };

  const save = () => {
    const url = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    const name = [by("experiment"), by("tier"), by("shown")].map((s) => s.value).join("-");
    const link = make("a", { href: url, download: `${name}.csv` }, root);
    link.click();
    link.remove();
    URL.revokeObjectURL(url);
  };

  const refresh = async (changed) => {
    const name = by("experiment").value;
    if (!explorer.records[name]) await load(`${name}.js`);
    // While the data came, the reader may have chosen another experiment: that choice draws itself.
    if (by("experiment").value !== name) return;
    const tiers = explorer.records[name];
    fill(by("tier"), Object.keys(tiers).map((tier) => [tier, tier]), by("tier").value);
    const seeds = Object.values(tiers[by("tier").value]).flat().map((run) => run.seed);
    const each = [...new Set(seeds)].sort((a, b) => a - b).map((s) => [String(s), String(s)]);
    fill(by("seed"), [["all", "all"], ...each], by("seed").value);
    draw();
    tabulate();
    if (changed) history.replaceState(null, "", "#" + new URLSearchParams(new FormData(root)));
  };

  const start = async () => {
    await load("names.js");
    const wanted = new URLSearchParams(location.hash.slice(1));
    fill(by("experiment"), Object.entries(explorer.names).map(([n, s]) => [n, `${n} (${s})`]),
      wanted.get("experiment"));
    fill(by("shown"), Object.entries(SHOWN), wanted.get("shown"));
    for (const name of ["tier", "seed"])
      if (wanted.get(name)) fill(by(name), [[wanted.get(name), wanted.get(name)]]);
    root.addEventListener("change", () => refresh(true).catch(fail));
    root.querySelector("button").addEventListener("click", save);
    root.hidden = false;
    await refresh(false);
  };
  // The controls stay: data that did not come may come with the next choice.
  const fail = (error) => {
    root.hidden = false;
    root.querySelector(".chart").textContent = `No data: ${error.message}.`;
  };
  start().catch(fail);
})();
