// Sets the theme before anything is painted: the one that was chosen here, else the system's.
"use strict";
(() => {
  const themes = ["system", "dark", "light"];
  const read = () => {
    try {
      const kept = localStorage.getItem("orch-theme");
      return themes.includes(kept) ? kept : "system";
    } catch {
      return "system";
    }
  };
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const show = (theme) => {
    const dark = theme === "dark" || (theme === "system" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    document.dispatchEvent(new CustomEvent("orch:theme"));
  };
  window.Orch = {
    theme: read,
    setTheme(theme) {
      try {
        localStorage.setItem("orch-theme", theme);
      } catch {
        // a browser that keeps nothing shows it all the same
      }
      show(theme);
    },
    nextTheme() {
      const next = themes[(themes.indexOf(read()) + 1) % themes.length];
      window.Orch.setTheme(next);
      return next;
    },
  };
  system.addEventListener("change", () => show(read()));
  show(read());
})();
