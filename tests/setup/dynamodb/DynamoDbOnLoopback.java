import com.amazonaws.services.dynamodbv2.local.server.LocalDynamoDBRequestHandler;
import com.amazonaws.services.dynamodbv2.local.server.LocalDynamoDBServerHandler;
import com.amazonaws.services.dynamodbv2.model.ListTablesRequest;
import com.amazonaws.services.dynamodbv2.model.TransactWriteItemsRequest;
import com.amazonaws.services.dynamodbv2.model.TransactWriteItemsResult;
import java.net.InetSocketAddress;
import org.eclipse.jetty.server.Server;

/**
 * DynamoDB Local on one address, without loss. Its own main program listens on all addresses, reports its use to its
 * makers, and answers a transaction before it has committed it, so that the last one is gone when it is killed.
 */
public final class DynamoDbOnLoopback {
    /** Arguments: host, port, and the folder for its data. */
    public static void main(String[] arguments) throws Exception {
        var server = new Server(new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])));
        server.setHandler(new LocalDynamoDBServerHandler(new Durable(arguments[2]), null));
        server.start();
        server.join();
    }

    private static final class Durable extends LocalDynamoDBRequestHandler {
        Durable(String folder) {
            super(0, false, folder, true, false);
        }

        @Override
        public TransactWriteItemsResult transactWriteItems(
                String key, String region, TransactWriteItemsRequest request) {
            TransactWriteItemsResult result = super.transactWriteItems(key, region, request);
            listTables(key, region, new ListTablesRequest()); // waits in the same queue, behind the commit
            return result;
        }
    }
}
