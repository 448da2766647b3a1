// Sets the colours that were chosen before the first paint, so that nothing flashes. A classic script: a module would
// run too late.
try {
  const theme = localStorage.getItem('lantern.theme');
  if (theme === '"light"' || theme === '"dark"') document.documentElement.dataset.theme = JSON.parse(theme);
} catch {
  /* storage is blocked: the system's colours it is */
}
