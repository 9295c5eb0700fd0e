import { createHash } from "node:crypto";

// The token stands behind the # of the link and is sent in the body: it is in no log and no Referer.
const script = `
const [form, button, said] = ["form", "button", "output"].map((name) => document.querySelector(name));
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = location.hash.slice(1), password = form.elements.password.value;
  said.textContent = "…";
  button.disabled = true;
  try {
    const answer = await fetch(location.pathname, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token, password }),
    });
    said.textContent = answer.ok ? "The new password is set. You can sign in with it." : (await answer.json()).detail;
    if (answer.ok) form.remove();
  } catch {
    said.textContent = "The service can't be reached; try again.";
  }
  button.disabled = false;
});`;

/** Where a recovery link leads: it asks for the new password, and needs nothing but itself. */
export const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>New password</title>
<link rel="icon" href="data:,">
<h1>New password</h1>
<form>
<p><label>New password <input name="password" type="password" autocomplete="new-password" required></label>
<p>At least 8 characters, with an upper-case letter, a lower-case letter and a digit.
<p><button>Set password</button>
</form>
<p><output></output>
<script>${script}</script>
</html>
`;

/** Its own script, and requests to where it comes from. */
export const policy = [
  "default-src 'none'",
  `script-src 'sha256-${createHash("sha256").update(script).digest("base64")}'`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
