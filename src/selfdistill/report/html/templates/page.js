"use strict";

// Tables: a button in each head that sorts; empty cells stay last.
const key = (row, column) => {
  const cell = row.cells[column];
  const words = (cell.querySelector("summary") ?? cell).textContent.trim();
  return cell.dataset.key ? Number(cell.dataset.key) : words;
};

const before = (one, other) =>
  typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });

function sort(table, head) {
  const column = head.cellIndex;
  const down = head.getAttribute("aria-sort") !== "descending" && head.classList.contains("number")
    || head.getAttribute("aria-sort") === "ascending";
  const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
  const filled = rows.filter(([value]) => value !== "").sort(([one], [other]) => (down ? -1 : 1) * before(one, other));
  const empty = rows.filter(([value]) => value === "");
  table.tBodies[0].append(...[...filled, ...empty].map(([, row]) => row));
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.querySelectorAll("th[data-sorts]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...[...head.childNodes].filter((each) => each.className !== "way"));
    button.addEventListener("click", () => sort(table, head));
    head.prepend(button);
  }
}

// A link to a run opens what it lies in.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  target.scrollIntoView({ block: "nearest" });
}
addEventListener("hashchange", reveal);
reveal();

// Commands: a button that copies.
for (const box of navigator.clipboard ? document.querySelectorAll(".command") : []) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(box.querySelector("code").textContent).then(
      () => { button.textContent = "Copied"; },
      () => { button.textContent = "Not allowed here"; },
    );
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  box.append(button);
}
