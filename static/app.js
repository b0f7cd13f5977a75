// Small behaviours of every page. Each works on what the markup says, so that swapped-in fragments have them too.

const on = (type, selector, act) =>
    document.addEventListener(type, (event) => {
        const found = event.target.closest?.(selector);
        if (found) act(found, event);
    });
const say = (text) => (document.getElementById("live").textContent = text);

// Light and dark
on("click", "[data-theme-toggle]", () => {
    const theme = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
    document.documentElement.dataset.bsTheme = theme;
    localStorage.setItem("theme", theme);
    say(`${theme} mode`);
});

// Copy an id
on("click", "[data-copy]", async (button, event) => {
    event.stopPropagation();
    await navigator.clipboard.writeText(button.dataset.copy);
    say(`${button.dataset.copy} copied`);
    button.classList.add("text-success");
    setTimeout(() => button.classList.remove("text-success"), 1200);
});

// A row leads where its first link leads; the link itself stays what keyboards and screen readers use.
on("click", "tr.linked", (row, event) => {
    if (event.target.closest("a, button, input, label, select, summary") || getSelection().toString()) return;
    row.querySelector("a[href]")?.click();
});

// Details open in the side panel before a full page
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (detail.target?.id !== "panel-body") return;
    const page = document.getElementById("panel-page");
    page.href = detail.elt.getAttribute("href") ?? detail.requestConfig.path;
    page.hidden = false;
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target.id === "panel-body") tabler.bootstrap.Offcanvas.getOrCreateInstance("#panel").show();
});

// What went wrong with a fragment is said, not swallowed.
const complain = (text) => {
    const alert = document.createElement("div");
    alert.className = "alert alert-error alert-dismissible";
    alert.setAttribute("role", "alert");
    alert.append(text);
    document.getElementById("messages")?.replaceChildren(alert);
    alert.scrollIntoView({ block: "nearest" });
};
document.addEventListener("htmx:responseError", ({ detail }) =>
    complain(
        { 403: "You may not do this, or the page is older than your sign-in: reload it.", 404: "This record is gone: reload the page.", 413: "This file is too large." }[detail.xhr.status] ??
            "Something went wrong on our side; nothing of your last action was stored.",
    ),
);
document.addEventListener("htmx:sendError", () => complain("The server cannot be reached; nothing was stored."));

// Ctrl-K: one search box
document.addEventListener("keydown", (event) => {
    const search = document.getElementById("search");
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && search) {
        event.preventDefault();
        search.focus();
        search.select();
    }
    if (event.key === "Escape") document.getElementById("search-results")?.replaceChildren();
});
document.addEventListener("focusin", (event) =>
    document.getElementById("search-results")?.classList.toggle("open", Boolean(event.target.closest(".search"))),
);

// Drop zones: a dropped file lands in the zone's file input.
for (const type of ["dragover", "dragleave", "drop"]) {
    on(type, ".drop", (zone, event) => {
        event.preventDefault();
        zone.classList.toggle("over", type === "dragover");
        const input = zone.querySelector("input[type=file]");
        if (type === "drop" && event.dataTransfer.files.length) {
            input.files = event.dataTransfer.files;
            input.dispatchEvent(new Event("change", { bubbles: true }));
        }
    });
}
on("change", "[data-submit]", (input) => input.form.requestSubmit());

// What cannot be taken back is asked first.
on("submit", "form[data-confirm]", (form, event) => {
    if (!confirm(form.dataset.confirm)) event.preventDefault();
});

// Ordered chips: moved by their buttons or by dragging; the order in the form is the order that counts.
const renumber = (list) => list.querySelectorAll(".order").forEach((place, index) => (place.textContent = index + 1));
on("click", "[data-chip-move]", (button, event) => {
    event.preventDefault();
    const chip = button.closest(".chip");
    const up = button.dataset.chipMove === "up";
    const other = up ? chip.previousElementSibling : chip.nextElementSibling;
    if (!other) return;
    other[up ? "before" : "after"](chip);
    renumber(chip.parentElement);
    button.focus();
    say(`moved to place ${[...chip.parentElement.children].indexOf(chip) + 1}`);
});
let dragged = null;
on("dragstart", ".chip", (chip) => (dragged = chip));
on("dragover", ".chip", (chip, event) => {
    if (!dragged || dragged.parentElement !== chip.parentElement) return;
    event.preventDefault();
    const below = event.clientY > chip.getBoundingClientRect().top + chip.offsetHeight / 2;
    chip[below ? "after" : "before"](dragged);
    renumber(chip.parentElement);
});
on("dragend", ".chip", () => (dragged = null));

// A file that was put aside for its preview is not sent a second time.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!detail.successful || !detail.elt.matches?.("input[type=file]")) return;
    const name = detail.elt.closest(".drop")?.querySelector(".drop-name");
    if (name && detail.elt.files.length) name.textContent = `${detail.elt.files[0].name} is shown below; choose another to replace it`;
    detail.elt.value = "";
});
