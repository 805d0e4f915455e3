"use strict";
/* The page is whole without this: it adds buttons to copy, an order by any column, and a filter. */
(() => {
  const button = (text, parent, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", () => act(made));
    parent.append(made);
  };

  const copy = async (code) => {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch { /* not allowed, as on a page without TLS: the older way, which also shows what is meant */
      getSelection().selectAllChildren(code);
      if (!document.execCommand("copy")) return "Selected";
    }
    return "Copied";
  };
  for (const block of document.querySelectorAll(".copy")) {
    button("Copy", block, async (pressed) => {
      pressed.textContent = await copy(block.querySelector("code"));
      setTimeout(() => { pressed.textContent = "Copy"; }, 2000);
    });
  }

  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const sort = (head) => {
      const way = head.ariaSort === "descending" ? 1 : -1;
      const value = (row) => row.cells[head.cellIndex].dataset.value;
      for (const each of table.tHead.rows[0].cells) each.ariaSort = "none";
      head.ariaSort = way < 0 ? "descending" : "ascending";
      const known = rows.filter((row) => value(row) !== "").sort((a, b) => way * (value(a) - value(b)));
      body.append(...known, ...rows.filter((row) => value(row) === ""));
    };
    for (const head of table.querySelectorAll("th.n")) {
      const name = head.textContent;
      head.textContent = "";
      head.ariaSort = "none";
      button(name, head, () => sort(head));
    }

    const filter = table.parentElement.querySelector(".filter");
    if (!filter) continue;
    const input = filter.querySelector("input");
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    filter.hidden = rows.length < 2;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/);
      for (const row of rows) row.hidden = !words.every((word) => texts.get(row).includes(word));
      const shown = rows.filter((row) => !row.hidden).length;
      filter.querySelector("output").textContent = input.value ? `${shown} of ${rows.length}` : "";
    });
  }

  const reveal = () => {
    for (const details of document.querySelectorAll("tr:target details")) details.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
