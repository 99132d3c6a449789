// Theme and sortable tables of all pages.

function startTheme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const show = (dark) => {
    root.dataset.theme = dark ? "dark" : "light";
    button.setAttribute("aria-pressed", String(dark));
  };
  show(system.matches);
  system.addEventListener("change", (event) => show(event.matches));
  button.addEventListener("click", () => show(root.dataset.theme !== "dark"));
}

/** Sort a table by the column of the button, ascending first. */
function sortBy(button) {
  const head = button.closest("th");
  const column = [...head.parentElement.children].indexOf(head);
  const falling = head.getAttribute("aria-sort") === "ascending";
  const body = head.closest("table").tBodies[0];
  const value = (row) => {
    const data = row.cells[column].querySelector("data");
    return data ? Number(data.value) : row.cells[column].textContent.trim();
  };
  const order = (one, other) => {
    const [a, b] = [value(one), value(other)];
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    const rising = typeof a === "number" ? a - b : a.localeCompare(b, document.documentElement.lang, { numeric: true });
    return falling ? -rising : rising;
  };
  body.append(...[...body.rows].sort(order));
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
}

startTheme();
for (const button of document.querySelectorAll(".sorter")) button.addEventListener("click", () => sortBy(button));
