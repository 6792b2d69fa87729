// Reads {secret, headers, body} from standard input and prints what the public library thinks of it.
const { Webhook } = require("standardwebhooks");

const message = JSON.parse(require("fs").readFileSync(0, "utf8"));
try {
	new Webhook(message.secret).verify(message.body, message.headers);
	console.log("verified");
} catch (error) {
	if (error.name !== "WebhookVerificationError" && error.constructor.name !== "WebhookVerificationError") throw error;
	console.log("refused");
}
