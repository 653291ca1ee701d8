// The table of files: search, sort and pages over columns of data that are unpacked once. Text goes in as text only.
"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const found = byId("found");

  async function unpack() {
    const packed = Uint8Array.from(atob(byId("data").textContent.trim()), (char) => char.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  let data;
  try {
    data = await unpack();
  } catch (error) {
    found.textContent = `The table cannot be shown by this browser: ${error.message}`;
    return;
  }

  const bytes = (size) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    for (; size >= 1024 && unit < units.length - 1; unit += 1) size /= 1024;
    return `${unit ? size.toFixed(1) : size} ${units[unit]}`;
  };
  const seconds = (value) => {
    if (value < 0) return "";
    const parts = [Math.floor(value / 3600), Math.floor(value / 60) % 60, value % 60];
    return parts[0] ? `${parts[0]}h ${parts[1]}m` : parts[1] ? `${parts[1]}m ${parts[2]}s` : `${parts[2]}s`;
  };
  // in the zone of where the page was made, as in the rest of it
  const moment = (epoch) =>
    epoch ? new Date((epoch + data.offset) * 1000).toISOString().slice(0, 19).replace("T", " ") : "";

  const columns = [
    { name: "file", text: (row) => data.file[row], key: (row) => data.file[row] },
    { name: "state", text: (row) => data.states[data.state[row]], key: (row) => data.state[row] },
    { name: "size", text: (row) => bytes(data.size[row]), key: (row) => data.size[row], number: true },
    { name: "load", text: (row) => seconds(data.load[row]), key: (row) => data.load[row], number: true },
    { name: "check", text: (row) => seconds(data.check[row]), key: (row) => data.check[row], number: true },
    { name: "finished", text: (row) => moment(data.last[row]), key: (row) => data.last[row] },
    { name: "loaded by", text: (row) => data.pods[data.pod[row]], key: (row) => data.pods[data.pod[row]] },
    { name: "reason", text: (row) => data.reasons[data.reason[row]], key: (row) => data.reasons[data.reason[row]] },
  ];
  const total = data.file.length;
  // what is searched, in lower case, made once: pods and reasons are few, keys are many
  const lower = {
    file: data.file.map((key) => key.toLowerCase()),
    pods: data.pods.map((pod) => pod.toLowerCase()),
    reasons: data.reasons.map((reason) => reason.toLowerCase()),
  };

  const view = { rows: Uint32Array.from({ length: total }, (_, row) => row), page: 0, sort: null, down: false };

  function select() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const state = byId("state").value;
    const fits = (row) =>
      (!state || String(data.state[row]) === state) &&
      words.every(
        (word) =>
          lower.file[row].includes(word) ||
          lower.pods[data.pod[row]].includes(word) ||
          lower.reasons[data.reason[row]].includes(word),
      );
    const rows = [];
    for (let row = 0; row < total; row += 1) if (fits(row)) rows.push(row);
    if (view.sort) {
      const key = view.sort.key;
      const side = view.down ? -1 : 1;
      const compare = (left, right) => {
        const [a, b] = [key(left), key(right)];
        return (a < b ? -side : a > b ? side : left - right);
      };
      rows.sort(compare);
    }
    view.rows = rows;
    view.page = 0;
    show();
  }

  function show() {
    const size = Number(byId("size").value);
    const pages = Math.max(Math.ceil(view.rows.length / size), 1);
    view.page = Math.min(view.page, pages - 1);
    const body = byId("rows").tBodies[0];
    const lines = Array.from(view.rows.slice(view.page * size, (view.page + 1) * size), (row) => {
      const line = document.createElement("tr");
      line.setAttribute("role", "row");
      for (const column of columns) {
        const cell = line.insertCell();
        cell.setAttribute("role", "cell");
        cell.dataset.name = column.name;
        if (column.number) cell.className = "number";
        if (column.name === "reason") cell.className = "reason";
        const text = column.text(row);
        if (column.name === "state") {
          const mark = document.createElement("span");
          mark.className = `state ${text.replace(" ", "-")}`;
          mark.textContent = text;
          cell.append(mark);
        } else {
          cell.textContent = text;
        }
      }
      return line;
    });
    body.replaceChildren(...lines);
    const count = view.rows.length.toLocaleString("en");
    found.textContent = view.rows.length === total ? `${count} files` : `${count} of ${total.toLocaleString("en")} files`;
    byId("page").textContent = `Page ${(view.page + 1).toLocaleString("en")} of ${pages.toLocaleString("en")}`;
    byId("first").disabled = byId("previous").disabled = view.page === 0;
    byId("last").disabled = byId("next").disabled = view.page === pages - 1;
  }

  function sortBy(column, head) {
    view.down = view.sort === column ? !view.down : Boolean(column.number);
    view.sort = column;
    for (const other of byId("rows").tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", view.down ? "descending" : "ascending");
    for (const mark of byId("rows").tHead.querySelectorAll("span")) mark.textContent = "";
    head.querySelector("span").textContent = view.down ? " ▼" : " ▲";
    select();
  }

  for (const column of columns) {
    const head = document.createElement("th");
    head.scope = "col";
    head.setAttribute("role", "columnheader");
    if (column.number) head.className = "number";
    const button = document.createElement("button");
    button.type = "button";
    const mark = document.createElement("span");
    mark.setAttribute("aria-hidden", "true");
    button.append(column.name, mark);
    button.addEventListener("click", () => sortBy(column, head));
    head.append(button);
    byId("rows").tHead.rows[0].append(head);
  }
  const present = new Set(data.state);
  for (const [number, label] of Object.entries(data.states)) {
    if (present.has(Number(number))) byId("state").add(new Option(label, number));
  }
  let waiting = 0;
  byId("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(select, 120);
  });
  byId("state").addEventListener("change", select);
  byId("size").addEventListener("change", show);
  const go = (id, step) =>
    byId(id).addEventListener("click", () => {
      view.page = step(view.page);
      show();
    });
  go("first", () => 0);
  go("previous", (page) => page - 1);
  go("next", (page) => page + 1);
  go("last", () => Infinity);
  show();
  document.documentElement.dataset.ready = "yes";
})();
