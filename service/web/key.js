// The API key of a service that wants one: asked for once, kept until the tab is closed.

const PLACE = "maskzoo-key";
const dialog = document.getElementById("key");
const field = document.getElementById("key-field");
const wrongNote = document.getElementById("key-wrong");
let asking = null; // requests that are refused together ask together

/** Whether the visitor gave a key. */
export const hasKey = () => sessionStorage.getItem(PLACE) !== null;

/** The headers that carry the key. */
export function keyHeaders() {
  const key = sessionStorage.getItem(PLACE);
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

/** Ask for a key after `refused` headers; resolves to false where the visitor does not give one. */
export async function askForKey(refused) {
  const known = keyHeaders().Authorization;
  if (known && known !== refused.Authorization) return true; // another request has asked meanwhile
  asking ??= ask(Boolean(refused.Authorization)).finally(() => { asking = null; });
  return asking;
}

async function ask(isWrong) {
  wrongNote.hidden = !isWrong;
  field.setAttribute("aria-invalid", String(isWrong));
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  const key = field.value.trim();
  field.value = "";
  if (dialog.returnValue !== "use" || !key) {
    sessionStorage.removeItem(PLACE);
    return false;
  }
  sessionStorage.setItem(PLACE, key);
  return true;
}
