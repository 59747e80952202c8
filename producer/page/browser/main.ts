/** Starts the page in the browser. */
import { render } from 'preact';

import { App } from './app.ts';
import { h } from './html.ts';
import { startRouting } from './route.ts';

const place = document.querySelector('#page');
if (place !== null) {
  startRouting();
  render(h(App, {}), place);
}
