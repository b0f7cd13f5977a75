// Review with the keyboard. Every key does what a link or button of the page does; j and k move between its rows.

const rows = () => [...document.querySelectorAll("main tr.linked")];
const current = () => document.activeElement?.closest("tr.linked");
const button = (key) => document.querySelector(`main [data-key="${key}"]`);

function move(step) {
    const all = rows();
    const place = all.indexOf(current());
    const next = all[Math.min(Math.max(place + step, 0), all.length - 1)];
    next?.querySelector("input[type=checkbox]")?.focus();
    next?.scrollIntoView({ block: "nearest" });
}

// The buttons of a form act on what is chosen in it; with nothing chosen, on the row one is at.
function press(key, row) {
    const form = row?.closest("form");
    const wanted = form?.querySelector(`[data-key="${key}"]`) ?? button(key);
    if (form && !form.querySelector("tr.linked input:checked")) choose(row);
    if (wanted && !wanted.disabled) wanted.click();
}

function choose(row) {
    const box = row?.querySelector("input[type=checkbox]");
    if (!box) return;
    box.checked = !box.checked;
    box.dispatchEvent(new Event("change", { bubbles: true }));
}

// Opens the row's details and goes to the field one wants to write into.
function open(row, field) {
    const link = row?.querySelector("a[href]");
    if (!link) return;
    const arrived = ({ detail }) => {
        if (detail.target.id !== "panel-body") return;
        document.removeEventListener("htmx:afterSwap", arrived);
        document.getElementById("panel").addEventListener(
            "shown.bs.offcanvas",
            () => document.querySelector(`#panel-body [name="${field}"]`)?.focus(),
            { once: true },
        );
    };
    document.addEventListener("htmx:afterSwap", arrived);
    link.click();
}

const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    x: (row) => choose(row),
    Enter: (row) => press("Enter", row),
    r: (row) => press("r", row),
    n: (row) => open(row, "comment"),
    a: (row) => open(row, "owner"),
    s: (row) => open(row, "amount"),
    u: () => button("u")?.click(),
    "/": () => document.getElementById("search")?.focus(),
    "?": () => document.getElementById("review-keys")?.showModal(),
};

document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !(event.key in KEYS)) return;
    const at = event.target;
    const writes = at.matches("select, textarea, input:not([type=checkbox])") || at.closest("dialog[open], .offcanvas.show");
    if (writes || (event.key === "Enter" && !at.matches("tr.linked input[type=checkbox]"))) return;
    event.preventDefault();
    KEYS[event.key](current());
});

document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-review-keys]")) document.getElementById("review-keys").showModal();
});
