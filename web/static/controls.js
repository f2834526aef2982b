// Changes of the streams. They need the token, which is asked for once and kept by the browser as a cookie.
async function ask(method, path, body) {
  const send = () => fetch(`api/streams${path}`, {
    method, headers: { "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body),
  });
  let answer = await send();
  if (answer.status === 401) {
    const token = prompt("Changes need the token of this run. It was shown when the run was started, or given to it.");
    if (!token) return null;
    const entered = await fetch("login", { method: "POST", body: new URLSearchParams({ token }) });
    if (!entered.ok) throw new Error("that is not the token");
    answer = await send();
  }
  if (answer.ok) return answer.json();
  const text = await answer.text();
  let reason = text;
  try { reason = JSON.parse(text).error; } catch { /* plain words */ }
  throw new Error(reason || `the server answers ${answer.status}`);
}

export async function change(method, path, body) {
  const said = document.getElementById("said");
  said.textContent = "";
  try { return await ask(method, path, body); } catch (error) { said.textContent = error.message; return null; }
}

export function connectForm(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
    if (await change("POST", "", given)) form.reset();
  });
}
