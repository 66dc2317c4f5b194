"use strict";
// Shows the cards that the filters leave, in the order that was chosen. The filters stand in the
// address behind "#", so that a view can be kept and shared.
(() => {
  const fields = ["group", "subset", "presence", "low", "high", "text", "order"];
  const field = Object.fromEntries(fields.map((name) => [name, document.getElementById(name)]));
  const usual = Object.fromEntries(fields.map((name) => [name, field[name].value]));
  const form = document.getElementById("filters");
  const grid = document.getElementById("cards");
  const cards = [...grid.children].map((element) => ({
    element,
    group: element.dataset.group,
    subsets: JSON.parse(element.dataset.subsets),
    absent: element.dataset.absent === "yes",
    iou: Number(element.dataset.iou),
    key: element.dataset.key,
    words: element.querySelector("dl").textContent.toLowerCase(),
  }));
  const byKey = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
  const orders = {
    worst: (a, b) => a.iou - b.iou || byKey(a, b),
    best: (a, b) => b.iou - a.iou || byKey(a, b),
    asked: byKey,
  };

  function fits(card) {
    const low = field.low.value === "" ? 0 : Number(field.low.value);
    const high = field.high.value === "" ? 1 : Number(field.high.value);
    return (
      (!field.group.value || card.group === field.group.value) &&
      (!field.subset.value || card.subsets.includes(field.subset.value)) &&
      (!field.presence.value || card.absent === (field.presence.value === "absent")) &&
      card.iou >= low && card.iou <= high &&
      card.words.includes(field.text.value.trim().toLowerCase())
    );
  }

  function show() {
    cards.sort(orders[field.order.value] || orders.worst);
    let shown = 0;
    for (const card of cards) {
      card.element.hidden = !fits(card);
      shown += card.element.hidden ? 0 : 1;
      grid.append(card.element);
    }
    document.getElementById("count").textContent = `${shown} of ${cards.length} shown`;
    document.getElementById("none").hidden = shown > 0;
  }

  function keep() {
    const changed = fields.filter((name) => field[name].value !== usual[name]);
    const view = new URLSearchParams(changed.map((name) => [name, field[name].value]));
    history.replaceState(null, "", `#${view}`);
  }

  function recall() {
    const view = new URLSearchParams(location.hash.slice(1));
    for (const name of fields) field[name].value = view.get(name) ?? usual[name];
    show();
  }

  function move(step) {
    const left = cards.map((card) => card.element).filter((element) => !element.hidden);
    const now = left.indexOf(document.activeElement);
    const next = left[now < 0 ? (step > 0 ? 0 : left.length - 1) : now + step];
    if (next) next.focus();
  }

  form.addEventListener("input", () => { show(); keep(); });
  form.addEventListener("reset", () => setTimeout(() => { show(); keep(); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", recall);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") document.activeElement.blur();
    if (event.target.closest("input, select")) return;
    if (event.key === "/") { event.preventDefault(); field.text.focus(); }
    if (event.key === "j") move(1);
    if (event.key === "k") move(-1);
  });
  recall();
})();
