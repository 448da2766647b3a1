
// Tables that sort by a click on a column's name, and show the rows that have the words. Without this they are plain tables.
"use strict";
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  if (rows.length < 2) continue;

  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const number = (row) => (row.cells[column].dataset.n === undefined ? NaN : Number(row.cells[column].dataset.n));
    const numeric = rows.some((row) => !Number.isNaN(number(row)));
    if (numeric) head.className = "n";
    button.addEventListener("click", () => {
      // The largest number first, but the first letter.
      const next = { ascending: "descending", descending: "ascending" };
      const order = next[head.getAttribute("aria-sort")] ?? (numeric ? "descending" : "ascending");
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const compare = (a, b) => {
        if (!numeric) return sign * a.cells[column].textContent.localeCompare(b.cells[column].textContent, undefined, { numeric: true });
        const [x, y] = [number(a), number(b)];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // those without come last
        return sign * (x - y);
      };
      body.append(...rows.sort(compare));
    });
  });

  if (rows.length < 4) continue;
  const filter = document.createElement("label");
  filter.className = "filter";
  const input = document.createElement("input");
  input.type = "search";
  const count = document.createElement("output");
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  input.addEventListener("input", show);
  filter.append("Filter", input, count);
  table.parentElement.before(filter);
  show();
}
