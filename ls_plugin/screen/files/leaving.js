/* On the page where people sign in: whoever signed out leaves no kept answer behind on this machine. */
(() => {
  "use strict";

  if (!document.cookie.split("; ").includes("quorum_signed_out=1")) return;
  for (const name of Object.keys(localStorage)) {
    if (name.startsWith("quorum.kept.")) localStorage.removeItem(name);
  }
  localStorage.setItem("quorum.person", "");
  document.cookie = "quorum_signed_out=; Max-Age=0; Path=/; SameSite=Lax";
})();
