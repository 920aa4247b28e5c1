// One connection for all tabs of a browser: this runs once, whatever the number of tabs.

import { Hub } from "./hub.js";

const hub = new Hub(self.location.origin);
self.onconnect = ({ ports: [port] }) => hub.add(port);
