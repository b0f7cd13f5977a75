// Rule authoring: dragging and Alt+arrows in ordered lists; in the editor Ctrl+S, and a word before unsaved work is lost.
// All of it also works without this file, with the buttons of each item.

const editor = document.getElementById("rule-form");
const announce = (text) => (document.getElementById("live").textContent = text);
let unsaved = false;

editor?.addEventListener("input", ({ target }) => (unsaved ||= !target.closest(".rule-side")));
document.addEventListener("criteria-changed", () => (unsaved = true));
editor?.addEventListener("submit", () => (unsaved = false));
addEventListener("beforeunload", (event) => unsaved && event.preventDefault());

const criterionOf = (element) => element.closest?.("[data-criterion]");
const reordered = (list) => list.dispatchEvent(new Event("reordered", { bubbles: true }));

document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s" && editor) {
        event.preventDefault();
        editor.requestSubmit();
        return;
    }
    const item = event.altKey && criterionOf(event.target);
    const other = event.key === "ArrowUp" ? item?.previousElementSibling : event.key === "ArrowDown" ? item?.nextElementSibling : null;
    if (!item || !other) return;
    event.preventDefault();
    event.key === "ArrowUp" ? other.before(item) : other.after(item);
    event.target.focus();
    announce(`Moved to place ${[...item.parentElement.children].indexOf(item) + 1} of ${item.parentElement.children.length}`);
    reordered(item.parentElement);
});

// Dragging by the grip, with pointer events: works with mouse, pen and finger.
document.addEventListener("pointerdown", (event) => {
    const item = event.target.closest?.("[data-grip]") && criterionOf(event.target);
    if (!item) return;
    event.preventDefault();
    const list = item.parentElement;
    const before = [...list.children];
    item.classList.add("dragging");
    const move = ({ clientY }) => {
        const next = [...list.children].find((each) => {
            const box = each.getBoundingClientRect();
            return each !== item && clientY < box.top + box.height / 2;
        });
        if (next !== item.nextElementSibling) list.insertBefore(item, next ?? null);
    };
    const drop = () => {
        document.removeEventListener("pointermove", move);
        item.classList.remove("dragging");
        if (before.some((each, place) => each !== list.children[place])) reordered(list);
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", drop, { once: true });
    document.addEventListener("pointercancel", drop, { once: true });
});
