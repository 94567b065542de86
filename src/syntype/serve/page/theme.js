// Light and dark: the system's choice until another is made, which is remembered. Run while the head
// is read, so that nothing flashes.
{
  const root = document.documentElement;
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    // Storage is closed to this page: the system's choice stays.
  }
  const system = matchMedia("(prefers-color-scheme: dark)");
  const other = () => ((root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark" ? "light" : "dark");
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => {
      button.textContent = other() === "dark" ? "Dark" : "Light";
      button.setAttribute("aria-label", `${button.textContent} colours`);
    };
    button.addEventListener("click", () => {
      root.dataset.theme = other();
      try {
        localStorage.setItem("theme", root.dataset.theme);
      } catch {
        // The choice holds until the page is left.
      }
      show();
    });
    system.addEventListener("change", show);
    show();
  });
}
