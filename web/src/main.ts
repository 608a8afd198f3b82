import { mount } from 'svelte';
import App from './App.svelte';
import { startRouter } from './app/router.svelte';
import { startSession } from './app/session.svelte';
import { jobs } from './queue/jobs.svelte';
import './styles/tokens.css';
import './styles/base.css';

const target = document.getElementById('app');
if (target === null) throw new Error('index.html has no #app');

startRouter();
// Followers ask for results, which are told to their owner only: who that is must be known first.
void startSession().then(() => jobs.start());
mount(App, { target });
