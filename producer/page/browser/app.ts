/** The frame around the views: navigation, the state of the connection, and which view the address names. */
import { useSignal } from '@preact/signals';
import { type VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { FleetView } from './fleet/fleet-view.ts';
import { timeText } from './format.ts';
import { type Html, h, html } from './html.ts';
import { SingleJobView } from './job/single-job-view.ts';
import { JobsView } from './jobs/jobs-view.ts';
import { connection, lastHeardAt, listenToEvents, stopListening } from './live.ts';
import { me } from './me.ts';
import { DropAnywhere } from './new-job/drop.ts';
import { NewJobView } from './new-job/new-job-view.ts';
import { Announcer } from './parts/announce.ts';
import { focusTitle } from './parts/keep-focus.ts';
import { Notice } from './parts/notice.ts';
import { useTitle } from './parts/use-title.ts';
import { path } from './route.ts';
import { type ApiFailure, asFailure, isSignedOut } from './server.ts';
import { SignIn, SignOut, hasTokenInAddress, openSession } from './sign-in.ts';

/** A shorter interruption, as when a laptop changes its network, is not worth a word. */
const LOST_AFTER_MS = 2000;
/** A local fleet has another address after each start; where a platform signs people in, the address stays. */
const NEW_ADDRESS = ' If the fleet has been started again, open the address that npm start prints now.';
const LINKS = [
  { to: '/', label: 'Jobs' },
  { to: '/fleet', label: 'Fleet' },
  { to: '/new', label: 'New job' },
] as const;

export function App(): Html {
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const start = () => {
    failure.value = undefined;
    openSession().catch((error: unknown) => {
      if (!isSignedOut.peek()) failure.value = asFailure(error);
    });
  };
  useEffect(() => {
    start();
    // The address with the token, pasted while the page is open.
    const startAgain = () => hasTokenInAddress() && start();
    addEventListener('hashchange', startAgain);
    return () => removeEventListener('hashchange', startAgain);
  }, []);
  const wasSignedOut = useRef<boolean | null>(null);
  useEffect(() => {
    // What had the focus has gone with the other view. At the start nothing has it.
    const { current } = wasSignedOut;
    if (me.peek() !== undefined && current !== null && current !== isSignedOut.value) focusTitle();
    wasSignedOut.current = isSignedOut.value;
  }, [isSignedOut.value]);
  if (isSignedOut.value) return html`<main>${h(SignIn, {})}</main>`;
  if (failure.value !== undefined)
    return html`<main>${h(Notice, { trouble: failure.value, retry: start })}</main>`;
  return me.value === undefined ? null : h(SignedIn, {});
}

function SignedIn(): Html {
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const jobId = jobIdIn(path.value);
  useEffect(() => {
    listenToEvents(jobId);
    return stopListening;
  }, [jobId]);
  useEffect(() => {
    if (!isFirst.current) focusTitle();
    isFirst.current = false;
  }, [path.value]);
  const focusMain = (event: Event) => {
    event.preventDefault();
    main.current?.focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${focusMain}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="/"><span aria-hidden="true"></span><b>framefleet</b></a>
      <nav aria-label="Views">
        ${LINKS.map(
          ({ to, label }) => html`
            <a
              key=${to}
              href=${to}
              class=${to === '/new' ? 'button primary' : ''}
              aria-current=${path.value === to ? 'page' : undefined}
              >${label}</a
            >
          `,
        )}
      </nav>
      ${me.value?.name ? html`<span class="person">${me.value.name}</span>` : h(SignOut, {})}
    </header>
    ${h(ConnectionState, {})}
    <main id="main" tabindex="-1" ref=${main} key=${path.value}>${viewFor(path.value)}</main>
    ${h(Announcer, {})} ${h(DropAnywhere, {})}
  `;
}

function viewFor(pathname: string): VNode {
  const jobId = jobIdIn(pathname);
  if (jobId !== null) return h(SingleJobView, { jobId });
  switch (pathname) {
    case '/':
      return h(JobsView, {});
    case '/fleet':
      return h(FleetView, {});
    case '/new':
      return h(NewJobView, {});
    default:
      return h(NoSuchPage, {});
  }
}

function NoSuchPage(): Html {
  useTitle('No such page');
  return html`
    <div class="empty">
      <h1 tabindex="-1">No such page</h1>
      <p><a href="/">All jobs</a></p>
    </div>
  `;
}

function jobIdIn(pathname: string): string | null {
  return /^\/jobs\/([^/]+)$/.exec(pathname)?.[1] ?? null;
}

function ConnectionState(): Html {
  const isShown = useSignal(false);
  const isLost = connection.value === 'lost';
  useEffect(() => {
    if (!isLost) {
      isShown.value = false;
      return undefined;
    }
    const timer = setTimeout(() => {
      isShown.value = true;
    }, LOST_AFTER_MS);
    return () => clearTimeout(timer);
  }, [isLost]);
  const heard = lastHeardAt.value;
  return html`
    <p class="connection" role="status">
      ${
        isShown.value &&
        `The connection is lost. This is the state of ${heard === null ? 'before' : timeText(heard.toISOString(), new Date())}. Trying again…${me.value?.name ? '' : NEW_ADDRESS}`
      }
    </p>
  `;
}
