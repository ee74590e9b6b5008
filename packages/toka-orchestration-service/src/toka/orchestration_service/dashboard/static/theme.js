// Light, dark, or what the system has. In a cookie, so that the server draws the first paint right.
export const beginTheme = () => {
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `toka_theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Strict`;
  });
};
