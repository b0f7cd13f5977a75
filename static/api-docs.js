// Shows the OpenAPI document and lets people try it. Swagger UI follows the theme of the page.
(() => {
    const root = document.documentElement;
    const place = document.getElementById("api-docs");
    const follow = () => root.classList.toggle("dark-mode", root.dataset.bsTheme === "dark");
    follow();
    new MutationObserver(follow).observe(root, { attributeFilter: ["data-bs-theme"] });
    window.SwaggerUIBundle({
        url: place.dataset.schema,
        domNode: place,
        deepLinking: true,
        displayRequestDuration: true,
        docExpansion: "none",
        defaultModelsExpandDepth: 0,
        presets: [window.SwaggerUIBundle.presets.apis],
        layout: "BaseLayout",
        requestInterceptor: (request) => {
            if (request.method && request.method !== "GET") request.headers["X-CSRFToken"] = place.dataset.csrf;
            return request;
        },
    });
})();
