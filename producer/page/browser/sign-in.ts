/** The session: from the token in the address, which `npm start` prints, or from a form. The token does not stay in the address or in the page. */
import { signal } from '@preact/signals';

import type { Me } from '../contract.ts';
import { type Html, h, html } from './html.ts';
import { me } from './me.ts';
import { textsIn } from './parts/form-text.ts';
import { Notice } from './parts/notice.ts';
import { useAction } from './parts/use-action.ts';
import { useTitle } from './parts/use-title.ts';
import { shownPath } from './route.ts';
import { type ApiFailure, asFailure, ask, isSignedOut, send } from './server.ts';

/** Why the token in the address is refused. */
const addressFailure = signal<ApiFailure | undefined>(undefined);

export function hasTokenInAddress(): boolean {
  return tokenIn(location.hash) !== null;
}

/** Asks who is there. A visitor without a session sees the form, because `ask` notes it. */
export async function openSession(): Promise<void> {
  const token = tokenIn(location.hash);
  if (token !== null) {
    history.replaceState(history.state, '', shownPath());
    try {
      await signInWith(token);
    } catch (error) {
      addressFailure.value = asFailure(error);
      throw error;
    }
    return;
  }
  me.value = await ask<Me>('me');
  isSignedOut.value = false;
}

async function signInWith(token: string): Promise<void> {
  addressFailure.value = undefined;
  await send('POST', 'session', { body: { token } });
  me.value = await ask<Me>('me');
  isSignedOut.value = false;
}

/** Of a whole address, or of its part after `#`. */
function tokenIn(text: string): string | null {
  return new URLSearchParams(/#(.*)$/s.exec(text)?.[1] ?? '').get('token');
}

/** Where people sign in with a name, the platform signs them out. */
export function SignOut(): Html {
  const action = useAction();
  const signOut = () =>
    action.run(async () => {
      await send('DELETE', 'session');
      isSignedOut.value = true;
    });
  return html`<button type="button" class="sign-out" onClick=${signOut}>Sign out</button>`;
}

export function SignIn(): Html {
  const action = useAction();
  const failure = action.failure ?? addressFailure.value;
  useTitle('Sign in');
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const text = textsIn(event).get('token') ?? '';
    action.run(() => signInWith(tokenIn(text) ?? text));
  };
  return html`
    <section class="sign-in">
      <h1 tabindex="-1">Sign in</h1>
      <p>Open the address that <code>npm start</code> prints, or enter it or the token at its end.</p>
      <form class="stack" onSubmit=${submit}>
        <label
          >Token
          <input name="token" type="password" required autocomplete="current-password" spellcheck="false"
        /></label>
        <button type="submit" class="primary" disabled=${action.isRunning}>Sign in</button>
        ${failure && h(Notice, { trouble: failure })}
      </form>
    </section>
  `;
}
