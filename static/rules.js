// Rule authoring: steps of editing one after the other, dragging and Alt+arrows in ordered lists; in the editor Ctrl+S,
// and a word before unsaved work is lost. All of it also works without this file, with the buttons of each item.

const editor = document.getElementById("rule-form");
const announce = (text) => (document.getElementById("live").textContent = text);
const itemOf = (element) => element.closest?.("[data-item]");
let unsaved = false;

// A step is a button named "do" inside [data-steps], which names the element that sends it. That element is never
// swapped and queues, so that two quick clicks are two steps, each on what the one before it left.
const step = (inside, what) => {
    const list = inside.closest("[data-steps]");
    if (list) htmx.trigger(document.getElementById(list.dataset.steps), "step", { do: what });
};
document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (detail.triggeringEvent?.type === "step") detail.parameters.do = detail.triggeringEvent.detail.do;
});
document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-steps] button[name=do]");
    if (!button) return;
    event.preventDefault();
    if (button.getAttribute("aria-disabled") !== "true") step(button, button.value);
});
let refresh;
document.addEventListener("change", ({ target }) => {
    if (!target.closest?.("[data-refresh]")) return;
    clearTimeout(refresh);
    refresh = setTimeout(() => step(document.getElementById("rule-criteria"), "refresh"), 120);
});

// What is typed while a step is under way is put back into the answer: nobody waits for the server to go on typing.
const inputs = () => [...document.querySelectorAll("#rule-criteria [id][name]:not(button)")];
const value = (input) => (input.type === "checkbox" ? input.checked : input.value);
let sent = new Map();
let typed = [];
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (detail.elt.id === "rule-steps") sent = new Map(inputs().map((input) => [input.id, value(input)]));
});
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.requestConfig.elt.id !== "rule-steps") return;
    typed = inputs().filter((input) => sent.has(input.id) && sent.get(input.id) !== value(input)).map((input) => [input.id, value(input)]);
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.requestConfig.elt.id !== "rule-steps") return;
    for (const [id, what] of typed) {
        const input = document.getElementById(id);
        if (!input) continue;
        input.type === "checkbox" ? (input.checked = what) : (input.value = what);
        input.dispatchEvent(new Event("input", { bubbles: true }));
        input.dispatchEvent(new Event("change", { bubbles: true }));
    }
    typed = [];
});

// Leaving and saving
editor?.addEventListener("input", ({ target }) => (unsaved ||= !target.closest(".rule-side")));
document.addEventListener("criteria-changed", () => (unsaved = true));
addEventListener("beforeunload", (event) => unsaved && event.preventDefault());
let leaving = false;
addEventListener("pageshow", () => (leaving = false));
editor?.addEventListener("submit", (event) => {
    const steps = document.getElementById("rule-steps");
    if (leaving) return event.preventDefault(); // a second click on the way to the next page
    if (steps.classList.contains("htmx-request")) {
        event.preventDefault(); // what was clicked before saving is part of what is saved
        steps.addEventListener("htmx:afterRequest", () => setTimeout(() => editor.requestSubmit(event.submitter)), { once: true });
        return;
    }
    leaving = true;
    unsaved = false;
});

document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s" && editor) {
        event.preventDefault();
        editor.requestSubmit();
        return;
    }
    const way = event.altKey && { ArrowUp: "up", ArrowDown: "down" }[event.key];
    const item = way && itemOf(event.target);
    if (!item) return;
    event.preventDefault();
    const place = [...item.parentElement.children].indexOf(item) + (way === "up" ? 0 : 2);
    if (place < 1 || place > item.parentElement.children.length) return;
    announce(`Moved to place ${place} of ${item.parentElement.children.length}`);
    step(item, `${way}:${item.dataset.item}`);
});

// Dragging by the grip, with pointer events: works with mouse, pen and finger.
document.addEventListener("pointerdown", (event) => {
    const item = event.target.closest?.("[data-grip]") && itemOf(event.target);
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
        if (before.every((each, place) => each === list.children[place])) return;
        step(list, `order:${[...list.children].map((each) => each.dataset.item)}`);
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", drop, { once: true });
    document.addEventListener("pointercancel", drop, { once: true });
});
