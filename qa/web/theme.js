// Runs before the first paint, so that a chosen theme or language never flashes the other one.
try {
  const theme = localStorage.getItem("cited-qa.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  const language = localStorage.getItem("cited-qa.language") || navigator.language;
  document.documentElement.lang = /^zh/i.test(language) ? "zh-CN" : "en";
} catch {
  // Storage is forbidden: the system's theme will do.
}
