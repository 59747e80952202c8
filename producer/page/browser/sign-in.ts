/** The session: from the token in the address, which `npm start` prints, or from a form. The token does not stay in the address or in the page. */
import { useEffect } from 'preact/hooks';

import type { Me } from '../contract.ts';
import { type Html, h, html } from './html.ts';
import { me } from './me.ts';
import { textsIn } from './parts/form-text.ts';
import { Notice } from './parts/notice.ts';
import { useAction } from './parts/use-action.ts';
import { ask, isSignedOut, send } from './server.ts';

/** Asks who is there. A visitor without a session sees the form, because `ask` notes it. */
export async function openSession(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token !== null) {
    history.replaceState(history.state, '', location.pathname);
    await send('POST', 'session', { body: { token } });
  }
  me.value = await ask<Me>('me');
  isSignedOut.value = false;
}

export function SignIn(): Html {
  const action = useAction();
  useEffect(() => {
    document.title = 'Sign in – framefleet';
  }, []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = textsIn(event).get('token');
    action.run(async () => {
      await send('POST', 'session', { body: { token } });
      me.value = await ask<Me>('me');
      isSignedOut.value = false;
    });
  };
  return html`
    <section class="sign-in">
      <h1 tabindex="-1">Sign in</h1>
      <p>Open the address that <code>npm start</code> prints, or enter the token at its end.</p>
      <form class="stack" onSubmit=${submit}>
        <label
          >Token
          <input name="token" type="password" required autocomplete="current-password" spellcheck="false"
        /></label>
        <button type="submit" class="primary" disabled=${action.isRunning}>Sign in</button>
        ${action.failure && h(Notice, { trouble: action.failure })}
      </form>
    </section>
  `;
}
